"""The fields of a version's images that can be filtered and sorted by: one memory-mapped column each.

`fields.sqlite` names the fields and holds the values of those that are text; `field-<n>.npy` holds one value an image
row. Text is held as a number: the place of the value in the sorted list of all, so that ranges of text are ranges of
numbers, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import CollectionError
from promptsearch.storage.manifest import FILES
from promptsearch.storage.sqlite import Database

SCHEMA = """
CREATE TABLE fields (
    number INTEGER PRIMARY KEY,       -- of field-<number>.npy
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    count INTEGER NOT NULL,           -- images that have it
    summary TEXT NOT NULL             -- JSON: distinct, least, greatest, values
);
CREATE TABLE texts (                  -- of fields whose column holds codes
    field INTEGER NOT NULL,
    code INTEGER NOT NULL,            -- in the order of the values' bytes
    value TEXT NOT NULL,
    PRIMARY KEY (field, code)
) WITHOUT ROWID;
CREATE UNIQUE INDEX codes ON texts (field, value);
"""

Type = Literal["boolean", "integer", "number", "string", "time", "prompt"]
DTYPES: Mapping[Type, str] = {
    "boolean": "|i1", "integer": "<i8", "number": "<f8", "string": "<i4", "time": "<i4", "prompt": "<i4",
}  # fmt: skip
PROMPT = "prompt"  # the field that holds the row of each image's prompt
_SORTED = 8  # orders that are kept, 8 bytes an image each
_LAST = "\U0010ffff"  # sorts after whatever continues a text


def missing_value(dtype: np.dtype[Any]) -> Any:
    """What stands in a column for an image without the field."""
    if dtype.kind == "f":
        return np.nan
    return np.iinfo(dtype).min if dtype.itemsize == 8 else -1


def present_mask(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of a column are there."""
    present: NDArray[np.bool_] = (
        ~np.isnan(column) if column.dtype.kind == "f" else column != missing_value(column.dtype)
    )
    return present


@dataclass(frozen=True)
class Field:
    """One field, and what it holds: `values` are its most frequent ones, each with how many images have it."""

    number: int
    name: str
    type: Type
    count: int
    distinct: int
    least: Any
    greatest: Any
    values: Sequence[tuple[Any, int]]


class FieldColumns:
    """Read access, from any thread."""

    def __init__(self, folder: Path, images: int) -> None:
        """The fields of the version in `folder`, which has so many images; raises CollectionError."""
        self._folder = folder
        self._images = images
        self._database = Database(folder / FILES.fields, "SELECT count(*) FROM fields, texts LIMIT 1")
        found = self._database.rows("SELECT number, name, type, count, summary FROM fields ORDER BY number")
        self._fields = {one[1]: Field(*one[:4], **json.loads(one[4])) for one in found}
        self._columns: dict[str, NDArray[Any]] = {name: self._map(field) for name, field in self._fields.items()}
        # Of the columns and not of `self`: what refers to itself would hold its files open until a collection.
        self.order = lru_cache(_SORTED)(partial(_order, self._columns))
        self.of_prompts = lru_cache(_SORTED)(partial(_of_prompts, self._columns))

    def __getitem__(self, name: str) -> Field:
        """Raises KeyError."""
        return self._fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Any:
        return iter(self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def column(self, name: str) -> NDArray[Any]:
        """One value a row of images, in the dtype of the field's type; see `missing_value`."""
        return self._columns[name]

    @property
    def prompts(self) -> NDArray[np.int32]:
        """The row of each image's prompt, -1 for none: int32 [images]."""
        return self._columns[PROMPT]

    def code(self, name: str, value: str) -> int | None:
        """What stands for a text in the field's column."""
        rows = self._database.rows("SELECT code FROM texts WHERE field = ? AND value = ?", (self[name].number, value))
        return int(rows[0][0]) if rows else None

    def first_code(self, name: str, value: str, *, after: bool = False) -> int:
        """The least code whose text is not less than `value`, or (`after`) than whatever begins with it."""
        bound = value + _LAST if after else value
        sql = "SELECT code FROM texts WHERE field = ? AND value >= ? ORDER BY value LIMIT 1"
        rows = self._database.rows(sql, (self[name].number, bound))
        return int(rows[0][0]) if rows else np.iinfo(np.int32).max

    def present(self, name: str) -> NDArray[np.bool_]:
        """Which images have the field, bool [images]."""
        return present_mask(self._columns[name])

    def close(self) -> None:
        self._database.close()

    def _map(self, field: Field) -> NDArray[Any]:
        path = self._folder / FILES.field(field.number)
        try:
            column: NDArray[Any] = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise CollectionError(f"the field {field.name} cannot be opened: {path}: {error}") from error
        if column.shape != (self._images,) or column.dtype != np.dtype(DTYPES[field.type]):
            raise CollectionError(
                f"{path} holds {column.dtype} {column.shape}, expected are {self._images} values of a {field.type}: "
                "build the collection again"
            )
        return column


def _order(columns: Mapping[str, NDArray[Any]], name: str, descending: bool) -> NDArray[np.int64]:
    """All rows of images in the order of the field, those without it last and equal ones by row."""
    return _ordered(columns[name], present_mask(columns[name]), descending)


def _of_prompts(columns: Mapping[str, NDArray[Any]], name: str, descending: bool, count: int) -> NDArray[np.int64]:
    """The rows of all prompts in the order of the least (or greatest) value that one of their images has."""
    column, prompts = columns[name], columns[PROMPT]
    present = present_mask(column) & (prompts >= 0)
    limits: Any = np.finfo(column.dtype) if column.dtype.kind == "f" else np.iinfo(column.dtype)
    values = np.full(count, limits.min if descending else limits.max, dtype=column.dtype)
    (np.maximum if descending else np.minimum).at(values, prompts[present], column[present])
    known = np.zeros(count, dtype=bool)
    known[prompts[present]] = True
    return _ordered(values, known, descending)


def _ordered(values: NDArray[Any], present: NDArray[np.bool_], descending: bool) -> NDArray[np.int64]:
    rows = np.flatnonzero(present)
    if descending:  # stable on the mirrored rows, so that equal values stand by row here, too
        rows = rows[::-1][np.argsort(values[rows[::-1]], kind="stable")][::-1]
    else:
        rows = rows[np.argsort(values[rows], kind="stable")]
    return np.concatenate([rows, np.flatnonzero(~present)])
