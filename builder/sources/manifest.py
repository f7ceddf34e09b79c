"""`manifest`: a CSV that lists pictures and prompts, beside or apart from the pictures' folder.

Columns: `image` (path below the folder) and/or `prompt`; optionally seed, steps, cfg_scale, sampler, model, created,
width, height. Every other column is kept as it is, among an image's `extra`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from promptsearch.errors import SourceError
from promptsearch.metadata.values import SETTINGS, settings_of, typed, whole

from . import Item, Rejected
from .picture import FilePicture
from .rows import Row, count_lines, read_csv

_KNOWN = {"image", "prompt", "width", "height", *SETTINGS}


class ManifestSource:
    kind = "manifest"

    def __init__(self, path: Path, images: Path | None) -> None:
        """`path`: the CSV, or a folder with a `manifest.csv`; `images`: the pictures' folder, else the CSV's own."""
        self._csv = path / "manifest.csv" if path.is_dir() else path
        if not self._csv.is_file():
            raise SourceError(f"{path} has no manifest.csv")
        self.root = (images or self._csv.parent).resolve()

    def count(self) -> int:
        return max(0, count_lines(self._csv) - 1)

    def items(self) -> Iterator[Item | Rejected]:
        for line, row in read_csv(self._csv, any_of=("image", "prompt")):
            if isinstance(row, csv.Error):
                yield Rejected(f"{self._csv.name}:{line}", str(row))
                continue
            try:
                yield self._item(line, row)
            except ValueError as error:
                yield Rejected(f"{self._csv.name}:{line}", str(error))

    def _item(self, line: int, row: Row) -> Item:
        prompt, image = row.get("prompt", "").strip(), row.get("image", "").strip()
        if not prompt and not image:
            raise ValueError("neither image nor prompt")
        place = PurePosixPath(image)
        if place.is_absolute() or ".." in place.parts:
            raise ValueError(f"image {image!r} leaves the pictures' folder")
        return Item(
            # Not the line, which changes when another is added above.
            key=place.as_posix() if image else f"row {json.dumps(row, sort_keys=True)}",
            source=image or f"{self._csv.name}:{line}",
            prompt=prompt or None,
            picture=FilePicture(self.root, place.as_posix()) if image else None,
            width=typed("width", row["width"], whole) if row.get("width") else None,
            height=typed("height", row["height"], whole) if row.get("height") else None,
            settings=settings_of(row),
            extra={name: value for name, value in row.items() if name and name not in _KNOWN and value},
        )
