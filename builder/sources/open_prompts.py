"""`open-prompts`: the CSV of krea-ai's open-prompts data set, with or without a folder of its pictures.

Columns are `prompt` and `raw_data`, which is JSON whose `raw_discord_data` describes the generation. The picture of a
row is the file whose stem is that of the row's `image_uri`, or else the row's number, counted from zero. The CSV is
read as a stream; the names of the pictures are kept on disk, not in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from promptsearch.errors import SourceError
from promptsearch.metadata.values import odd_sizes, parse_json, size, split_settings, text

from . import Item, Rejected
from .inputs.lookup import Lookup
from .inputs.picture import FilePicture
from .inputs.reading import read_item
from .inputs.rows import Row, count_lines, read_csv
from .inputs.tree import pictures_below

_COLUMNS = ("prompt", "raw_data")
# names of our settings in raw_discord_data
_NAMES = {"seed": "seed", "num_step": "steps", "cfg_scale": "cfg_scale", "timestamp": "created"}


class OpenPromptsSource:
    """Rows of the open-prompts CSV, with pictures if there is a folder of them."""

    kind = "open-prompts"

    def __init__(self, path: Path, images: Path | None) -> None:
        """Open the CSV; `images` is a folder that holds its pictures at any depth.

        Raises SourceError if the CSV cannot be read or lacks columns.
        """
        if not path.is_file():
            raise SourceError(f"{path} is not a file: open-prompts is one CSV with the columns {', '.join(_COLUMNS)}")
        next(read_csv(path, all_of=_COLUMNS), None)  # raises SourceError if columns are missing
        self._csv = path
        self._images = images
        self.root = (images or path.parent).resolve()

    def count(self) -> int:
        """Return the number of lines after the header: at least the rows, more if cells have line breaks."""
        return max(0, count_lines(self._csv) - 1)

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the rows in order, after the rejections of pictures with ambiguous names."""
        with Lookup() as pictures:
            if self._images:
                yield from self._index(pictures)
            for number, (line, row) in enumerate(read_csv(self._csv, all_of=_COLUMNS)):
                where = f"{self._csv.name}:{line}"
                if isinstance(row, Exception):
                    yield Rejected(where, str(row))
                else:
                    yield from read_item(where, partial(self._item, number, row, pictures))

    def _index(self, pictures: Lookup) -> Iterator[Rejected]:
        """Map the stems of file names to paths; yield a rejection for each picture whose stem occurred before."""
        for picture in pictures_below(self.root):
            if isinstance(picture, Rejected):
                yield picture
                continue
            stem = PurePosixPath(picture).stem
            pictures.add([(stem, picture)])
            if (kept := pictures.get(stem)) != picture:
                yield Rejected(picture, f"another picture has the same name and is used: {kept}")

    def _item(self, number: int, row: Row, pictures: Lookup) -> Item:
        if missing := [name for name in _COLUMNS if name not in row]:
            raise ValueError(f"the row ends before {', '.join(missing)}")
        generation = _generation(row["raw_data"])
        link = text(generation.get("image_uri") or "")
        settings, extra = split_settings(
            {ours: generation.get(theirs) for theirs, ours in _NAMES.items()}
            | {"num_generations": generation.get("num_generations") or None}
            | odd_sizes(generation)
        )
        return Item(
            key=link or f"row {number}",
            source=link or f"{self._csv.name}#{number}",
            prompt=row["prompt"].strip(),  # empty prompts are valid and kept
            picture=self._picture(number, link, pictures) if self._images else None,
            width=size(generation.get("width")),
            height=size(generation.get("height")),
            settings=settings,
            extra=extra,
        )

    def _picture(self, number: int, link: str, pictures: Lookup) -> FilePicture | None:
        try:
            stem = PurePosixPath(unquote(urlsplit(link).path)).stem
        except ValueError:  # not a URL, so it names no file
            stem = ""
        file = (pictures.get(stem) if stem else None) or pictures.get(str(number))
        return FilePicture(self.root, file) if file else None


def _generation(raw: str) -> dict[str, Any]:
    try:
        data = parse_json(raw)
    except ValueError as error:
        raise ValueError(f"raw_data is {error}") from None
    generation = data.get("raw_discord_data") if isinstance(data, dict) else None
    if not isinstance(generation, dict):
        raise ValueError("raw_data has no raw_discord_data")  # noqa: TRY004 - the data is wrong, not the program
    return generation
