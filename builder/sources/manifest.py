"""`manifest`: a CSV that lists pictures and prompts, in the folder of the pictures or elsewhere.

Columns: `image` (path below the folder) and/or `prompt`; optionally seed, steps, cfg_scale, sampler, model, created,
width, height. Every other column is kept in an image's `extra`, and so is a setting with an invalid value. Delimiters
are commas, semicolons, tabs or vertical bars; the encoding is UTF-8, UTF-16 or Windows-1252.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from promptsearch.errors import SourceError
from promptsearch.metadata.values import odd_sizes, size, split_settings

from . import Item, Rejected
from .inputs.picture import FilePicture, is_file
from .inputs.reading import read_item
from .inputs.rows import Row, count_lines, read_csv

_PLACED = ("image", "prompt", "width", "height")  # columns that become fields of an item
_LISTED = 64  # folders whose listings are kept in memory


class ManifestSource:
    """Rows of a CSV: a picture, a prompt, or both."""

    kind = "manifest"

    def __init__(self, path: Path, images: Path | None) -> None:
        """Open a CSV, or a folder with a `manifest.csv`; without `images`, the pictures are in the CSV's folder.

        Raises SourceError if there is no such CSV.
        """
        self._csv = path / "manifest.csv" if path.is_dir() else path
        if not self._csv.is_file():
            raise SourceError(
                f"expected a CSV file or a folder with manifest.csv, got {path}: write one, or use the source `folder`"
            )
        self.root = (images or self._csv.parent).resolve()

    def count(self) -> int:
        """Return the number of lines after the header: at least the rows, more if cells have line breaks."""
        return max(0, count_lines(self._csv) - 1)

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the rows in order. Raises SourceError if there is neither a column `image` nor `prompt`."""
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
        settings, extra = split_settings({name: value for name, value in row.items() if name and name not in _PLACED})
        return Item(
            # Not the line number, which changes when a row is inserted above.
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
    """Return the path of a picture below the root.

    This is the path as written, else with slashes for backslashes, else the only file whose name differs just in case
    or Unicode normalization. Raises ValueError for a path that leaves the root.
    """
    place = _below(image)
    if not image or is_file(root / place):
        return place
    place = _below(image.replace("\\", "/"))
    path = PurePosixPath()
    for part in place.parts:
        names = _names(root / path).get(_folded(part), [])
        if part not in names and len(names) != 1:
            return place  # no such file, which the decoder reports
        path /= part if part in names else names[0]
    return path


def _below(image: str) -> PurePosixPath:
    place = PurePosixPath(image)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"image {image!r} leaves the pictures' folder")
    return place


@lru_cache(_LISTED)
def _names(folder: Path) -> dict[str, list[str]]:
    """Return the names in a folder by their folded form; empty if there is no such folder."""
    names: dict[str, list[str]] = {}
    try:
        for entry in folder.iterdir():
            names.setdefault(_folded(entry.name), []).append(entry.name)
    except OSError:  # no folder
        return {}
    return names


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()
