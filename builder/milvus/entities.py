"""The items of a version on files as Milvus's entities."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.milvus.items import document
from promptsearch.engines.milvus.schema import (
    DOCUMENT,
    ID,
    IMAGE_COUNT,
    IMAGE_PROMPT,
    MOST_TEXT,
    ROW,
    TEXT,
    VECTOR,
    column,
    stand_in,
)
from promptsearch.errors import BuildError
from promptsearch.storage.fields import PROMPT, Field, FieldColumns, present_mask
from promptsearch.storage.items import ItemStore
from promptsearch.storage.manifest import FILES, Kind, Manifest


class Entities:
    """The entities of one kind, by row."""

    def __init__(
        self, folder: Path, kind: Kind, manifest: Manifest, fields: FieldColumns, dtype: type[np.float16 | np.float32]
    ) -> None:
        self._kind = kind
        self._count = manifest.counts[kind]
        self._fields = fields
        self._dtype = dtype
        self._items = ItemStore(folder / FILES.items)
        info = manifest.index(kind)
        self._vectors = None if info is None else np.load(folder / FILES.vectors(kind), mmap_mode="r")
        self._none = stand_in(None if info is None else manifest.model.embedding_dim)
        uri = f"{(folder / FILES.fields).absolute().as_uri()}?mode=ro&immutable=1"
        self._texts = sqlite3.connect(uri, uri=True)

    def __len__(self) -> int:
        return self._count

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return the entities of these rows. Raises BuildError for values that Milvus cannot hold."""
        rows = list(range(start, min(stop, self._count)))
        if self._kind == "prompts":
            prompts = self._items.prompts(rows)
            return [
                {
                    ROW: row,
                    VECTOR: self._vector(row),
                    ID: prompts[row].id,
                    TEXT: _fitting(prompts[row].text, f"prompt {prompts[row].id}"),
                    IMAGE_COUNT: prompts[row].image_count,
                }
                for row in rows
            ]
        images = self._items.images(rows)
        columns = {column(field): self._values(field, rows) for field in self._fields if field.name != PROMPT}
        entities = []
        for place, row in enumerate(rows):
            image, where = images[row], f"image {images[row].id} ({images[row].source[:100]})"
            values = {name: _checked(values[place], where) for name, values in columns.items()}
            entities.append(
                {
                    ROW: row,
                    VECTOR: self._vector(row),
                    ID: image.id,
                    IMAGE_PROMPT: -1 if image.prompt is None else image.prompt,
                    DOCUMENT: _fitting(document(image), where),
                    **values,
                }
            )
        return entities

    def _vector(self, row: int) -> NDArray[Any]:
        there = self._vectors is not None and row < len(self._vectors)
        vector: NDArray[Any] = (self._vectors[row] if there and self._vectors is not None else self._none).astype(
            self._dtype
        )
        return vector

    def _values(self, field: Field, rows: list[int]) -> list[Any]:
        """Return the values of a field in these rows of images, None if there is none."""
        cells = self._fields.column(field.name)[rows]
        present = present_mask(cells)
        match field.type:
            case "string" | "time":
                texts = self._texts_of(field.number, sorted(set(cells[present].tolist())))
                values: list[Any] = [texts.get(code) for code in cells.tolist()]
            case "boolean":
                values = [bool(value) for value in cells.tolist()]
            case _:
                values = cells.tolist()
        return [value if there else None for value, there in zip(values, present.tolist(), strict=True)]

    def _texts_of(self, field: int, codes: list[int]) -> Mapping[int, str]:
        """Return the texts of the codes of a column."""
        texts: dict[int, str] = {}
        for start in range(0, len(codes), 500):
            part = codes[start : start + 500]
            sql = f"SELECT code, value FROM texts WHERE field = ? AND code IN ({','.join('?' * len(part))})"
            texts |= dict(self._texts.execute(sql, (field, *part)))
        return texts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._items.close()
        self._texts.close()


def _checked(value: Any, where: str) -> Any:
    return _fitting(value, where) if isinstance(value, str) else value


def _fitting(text: str, where: str) -> str:
    if (size := len(text.encode())) > MOST_TEXT:
        raise BuildError(
            f"{where} has a text of {size:,} bytes, expected at most {MOST_TEXT:,} for Milvus: shorten it in the "
            "source, or serve the collection from files"
        )
    return text
