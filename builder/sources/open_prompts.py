"""`open-prompts`: the CSV of krea-ai's open-prompts data set, with or without a folder of its pictures.

Columns `prompt` and `raw_data`, the latter JSON whose `raw_discord_data` holds what is known of the generation. A
picture belongs to a row by the stem of its `image_uri`'s file name, or else by the row's number, counted from zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from builder.sources import Item, Rejected
from builder.sources.picture import FilePicture
from builder.sources.rows import Row, read_csv, settings_of, typed, whole

# raw_discord_data's names for our settings
_NAMES = {"seed": "seed", "num_step": "steps", "cfg_scale": "cfg_scale", "timestamp": "created"}


class OpenPromptsSource:
    kind = "open-prompts"

    def __init__(self, path: Path, images: Path | None) -> None:
        self.csv = path
        self.root = (images or path.parent).resolve()
        files = sorted(file for file in self.root.rglob("*") if file.is_file()) if images else []
        self._pictures = {file.stem: FilePicture(self.root, file.relative_to(self.root).as_posix()) for file in files}

    def items(self) -> Iterator[Item | Rejected]:
        for number, (line, row) in enumerate(read_csv(self.csv, all_of=("prompt", "raw_data"))):
            try:
                yield self._item(number, row)
            except ValueError as error:
                yield Rejected(f"{self.csv.name}:{line}", str(error))

    def _item(self, number: int, row: Row) -> Item:
        generation = _generation(row["raw_data"])
        link = str(generation.get("image_uri") or "")
        link.encode()  # JSON can carry half a surrogate pair, which no database takes: a ValueError
        generations = _whole(generation, "num_generations")
        stem = PurePosixPath(unquote(urlsplit(link).path)).stem
        return Item(
            key=link or f"row {number}",
            source=link or f"{self.csv.name}#{number}",
            prompt=row["prompt"].strip(),  # an empty one is what was asked for, too
            picture=self._pictures.get(stem) or self._pictures.get(str(number)),
            width=_whole(generation, "width"),
            height=_whole(generation, "height"),
            settings=settings_of({ours: generation.get(theirs) for theirs, ours in _NAMES.items()}),
            extra={} if generations is None else {"num_generations": generations},
        )


def _generation(raw: str) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"raw_data is no JSON: {error}") from None
    generation = data.get("raw_discord_data") if isinstance(data, dict) else None
    if not isinstance(generation, dict):
        raise ValueError("raw_data has no raw_discord_data")  # noqa: TRY004 - the data is wrong, not the program
    return generation


def _whole(generation: dict[str, Any], name: str) -> int | None:
    return typed(name, generation[name], whole) if generation.get(name) else None
