"""`open-prompts`: the CSV of krea-ai's open-prompts data set, with or without a folder of its pictures.

Columns `prompt` and `raw_data`, the latter JSON whose `raw_discord_data` holds what is known of the generation. A
picture belongs to a row by the stem of its `image_uri`'s file name, or else by the row's number, counted from zero.
The CSV is read as a stream; the pictures' names are kept in a file, not in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from promptsearch.errors import SourceError
from promptsearch.metadata.values import odd_sizes, size, text, told

from . import Item, Rejected
from .inputs.lookup import Lookup
from .inputs.picture import FilePicture
from .inputs.reading import read_item
from .inputs.rows import Row, count_lines, read_csv
from .inputs.tree import pictures_below

_COLUMNS = ("prompt", "raw_data")
# raw_discord_data's names for our settings
_NAMES = {"seed": "seed", "num_step": "steps", "cfg_scale": "cfg_scale", "timestamp": "created"}


class OpenPromptsSource:
    kind = "open-prompts"

    def __init__(self, path: Path, images: Path | None) -> None:
        """`path`: the CSV; `images`: a folder that its pictures lie in, however deep."""
        if not path.is_file():
            raise SourceError(f"{path} is no file: open-prompts is one CSV with the columns {', '.join(_COLUMNS)}")
        next(read_csv(path, all_of=_COLUMNS), None)  # whether it has them
        self._csv = path
        self._images = images
        self.root = (images or path.parent).resolve()

    def count(self) -> int:
        return max(0, count_lines(self._csv) - 1)

    def items(self) -> Iterator[Item | Rejected]:
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
        """File names without suffix to paths; of pictures with the same name the first is taken, the others told of."""
        for found in pictures_below(self.root):
            if isinstance(found, Rejected):
                yield found
                continue
            stem = PurePosixPath(found).stem
            pictures.add([(stem, found)])
            if (kept := pictures.get(stem)) != found:
                yield Rejected(found, f"another picture has the same name and is taken: {kept}")

    def _item(self, number: int, row: Row, pictures: Lookup) -> Item:
        if missing := [name for name in _COLUMNS if name not in row]:
            raise ValueError(f"the row ends before {', '.join(missing)}")
        generation = _generation(row["raw_data"])
        link = text(generation.get("image_uri") or "")
        settings, extra = told(
            {ours: generation.get(theirs) for theirs, ours in _NAMES.items()}
            | {"num_generations": generation.get("num_generations") or None}
            | odd_sizes(generation)
        )
        return Item(
            key=link or f"row {number}",
            source=link or f"{self._csv.name}#{number}",
            prompt=row["prompt"].strip(),  # an empty one is what was asked for, too
            picture=self._picture(number, link, pictures) if self._images else None,
            width=size(generation.get("width")),
            height=size(generation.get("height")),
            settings=settings,
            extra=extra,
        )

    def _picture(self, number: int, link: str, pictures: Lookup) -> FilePicture | None:
        try:
            stem = PurePosixPath(unquote(urlsplit(link).path)).stem
        except ValueError:  # what is no URL names no file
            stem = ""
        file = (pictures.get(stem) if stem else None) or pictures.get(str(number))
        return FilePicture(self.root, file) if file else None


def _generation(raw: str) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"raw_data is no JSON: {error}") from None
    generation = data.get("raw_discord_data") if isinstance(data, dict) else None
    if not isinstance(generation, dict):
        raise ValueError("raw_data has no raw_discord_data")  # noqa: TRY004 - the data is wrong, not the program
    return generation
