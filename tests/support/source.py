"""A small `manifest` source: good pictures, and one picture for each kind of error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support.drawing import as_bytes, picture

COLUMNS = "image,prompt,seed,style"
ROWS = (
    "a.png,a red fox,1,ink",
    "sub/b.jpg,a red fox,2,oil",
    "c.webp,,3,",
    "broken.png,a broken clock,4,",
    "text.png,,5,",
    "missing.png,a missing cat,6,",
    ",only words 夜,7,",
    ",,8,",
    "../up.png,outside,9,",
)
PROMPTS = ("a red fox", "a broken clock", "a missing cat", "only words 夜")
PICTURES = ("a.png", "sub/b.jpg", "c.webp")
WITHOUT_VECTOR = ("broken.png", "missing.png", "manifest.csv:8")
COUNTS = {"prompts": 4, "images": 6, "image_vectors": 3, "quarantined": 5}
QUARANTINED = {
    "broken.png": "the picture is damaged",
    "text.png": "this is not a picture that can be read",
    "missing.png": "no such file",
    "manifest.csv:9": "neither image nor prompt",
    "manifest.csv:10": "image '../up.png' leaves the pictures' folder",
}


def write(folder: Path, rows: Sequence[str] = ROWS) -> Path:
    """Write the source into `folder`, with these rows of its CSV; return `folder`."""
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "a.png").write_bytes(as_bytes(picture(1, 64, 64)))
    (folder / "sub" / "b.jpg").write_bytes(as_bytes(picture(2, 300, 200), "JPEG", quality=95))
    (folder / "c.webp").write_bytes(as_bytes(picture(3, 40, 90), "WEBP", lossless=True))
    (folder / "broken.png").write_bytes(as_bytes(picture(4))[:2000])
    (folder / "text.png").write_text("no picture at all")
    (folder / "manifest.csv").write_text("\n".join((COLUMNS, *rows)) + "\n", encoding="utf-8")
    return folder
