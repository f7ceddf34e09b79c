"""Small real collections with the hard cases for the page, embedded by a small real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.encode.embed import embed
from builder.encode.runners.local import LocalRunner
from builder.indexing.index import index
from builder.sources import Item, Source
from builder.sources.inputs.picture import FilePicture
from builder.versions.publish import publish
from promptsearch.encoding.encoders import Encoders
from tests.support.drawing import as_bytes, picture

PICTURES = 90
SHARED = 6  # the last ones, which share one prompt
SIZES = ((96, 64), (64, 96), (96, 96), (160, 64), (48, 120))
SAMPLERS = ("k_lms", "k_lms", "ddim")
MARKUP = "<img src=x onerror=\"document.title='broken in'\"> & <b>bold</b>"
LONG = "an oil painting of a fox, " * 12 + "trending"
SHARED_PROMPT = "several foxes"
WORDS = ("only words", "more words", MARKUP)


def size(number: int) -> tuple[int, int]:
    return SIZES[number % len(SIZES)]


def drawn(number: int) -> bytes:
    """Return the PNG file of the picture with this number."""
    return as_bytes(picture(number, *size(number)))


def prompt(number: int) -> str:
    if number >= PICTURES - SHARED:
        return SHARED_PROMPT
    return {0: MARKUP, 1: LONG}.get(number, f"a fox in {number} colours")


class Pictures:
    """A source of pictures, with prompts and every setting, or with neither."""

    kind = "manifest"

    def __init__(self, root: Path, count: int, *, prompts: bool) -> None:
        self.root = root
        self._count = count
        self._prompts = prompts
        root.mkdir()
        for number in range(count):
            (root / f"{number}.png").write_bytes(drawn(number))

    def count(self) -> int:
        return self._count

    def items(self) -> Iterator[Item]:
        for number in range(self._count):
            name = f"{number}.png"
            file = FilePicture(self.root, name)
            if not self._prompts:
                yield Item(name, name, None, file)
                continue
            settings = {
                "seed": number,
                "steps": 20 + 10 * (number % 3),
                "cfg_scale": 7.5,
                "sampler": SAMPLERS[number % len(SAMPLERS)],
                "created": f"2023-05-{1 + number % 28:02}T12:00:00Z",
            }
            extra = {"upscaled": number % 4 == 0, "negative_prompt": "blurry"}
            yield Item(name, name, prompt(number), file, settings=settings, extra=extra)


class Words:
    """A source of prompts without pictures."""

    kind = "manifest"

    def __init__(self, root: Path) -> None:
        self.root = root

    def count(self) -> int:
        return len(WORDS)

    def items(self) -> Iterator[Item]:
        for number, text in enumerate(WORDS):
            yield Item(f"row {number}", f"manifest.csv:{number}", text, None)


def write(folder: Path, encoders: Encoders) -> Path:
    """Write an indices folder with `gallery`, `words` (no pictures) and `silent` (no prompts), and the originals."""
    indices = folder / "indices"
    indices.mkdir()
    sources: dict[str, Source] = {
        "gallery": Pictures(folder / "gallery", PICTURES, prompts=True),
        "silent": Pictures(folder / "silent", 12, prompts=False),
        "words": Words(folder / "words"),
    }
    for name, source in sources.items():
        embed(source, LocalRunner(encoders), encoders.bundle, indices / name, engine_name="onnx")
        index(indices / name)
        publish(indices / name)
    return indices
