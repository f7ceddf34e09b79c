"""`manifest`: a CSV that lists pictures and prompts, beside or apart from the pictures' folder.

Columns: `image` (path below the folder) and/or `prompt`; optionally seed, steps, cfg_scale, sampler, model, created,
width, height. Every other column is kept as it is, among an image's `extra`, and so is a setting with an odd value.
Delimiters are commas, semicolons, tabs or bars; texts UTF-8, UTF-16 or Windows-1252.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from promptsearch.errors import SourceError
from promptsearch.metadata.values import odd_sizes, size, told

from . import Item, Rejected
from .inputs.picture import FilePicture
from .inputs.reading import read_item
from .inputs.rows import Row, count_lines, read_csv

_PLACED = ("image", "prompt", "width", "height")  # columns that become fields of an item
_LISTED = 64  # folders whose names are kept


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
            where = f"{self._csv.name}:{line}"
            if isinstance(row, Exception):
                yield Rejected(where, str(row))
            else:
                yield from read_item(where, partial(self._item, line, row))

    def _item(self, line: int, row: Row) -> Item:
        prompt, image = row.get("prompt", "").strip(), row.get("image", "").strip()
        if not prompt and not image:
            raise ValueError("neither image nor prompt")
        file = _find(self.root, image).as_posix()
        settings, extra = told({name: value for name, value in row.items() if name and name not in _PLACED})
        return Item(
            # Not the line, which changes when another is added above.
            key=file if image else f"row {json.dumps(row, sort_keys=True)}",
            source=image or f"{self._csv.name}:{line}",
            prompt=prompt or None,
            picture=FilePicture(self.root, file) if image else None,
            width=size(row.get("width")),
            height=size(row.get("height")),
            settings=settings,
            extra=extra | odd_sizes(row),
        )


def _find(root: Path, image: str) -> PurePosixPath:
    """The place of a picture below the root: as it is written, else with slashes for backslashes, else the only file
    whose name differs in case or Unicode form alone. Raises ValueError for places outside the root.
    """
    place = _below(image)
    if not image or (root / place).is_file():
        return place
    place = _below(image.replace("\\", "/"))
    found = PurePosixPath()
    for part in place.parts:
        names = _names(root / found).get(_folded(part), [])
        if part not in names and len(names) != 1:
            return place  # no such file, as the decoder will say
        found /= part if part in names else names[0]
    return found


def _below(image: str) -> PurePosixPath:
    place = PurePosixPath(image)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"image {image!r} leaves the pictures' folder")
    return place


@lru_cache(_LISTED)
def _names(folder: Path) -> dict[str, list[str]]:
    """The names in a folder by what they have in common with others that are written alike."""
    names: dict[str, list[str]] = {}
    try:
        for entry in folder.iterdir():
            names.setdefault(_folded(entry.name), []).append(entry.name)
    except OSError:  # no folder
        return {}
    return names


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()
