"""The fields of images that can be filtered and sorted by: one memory-mapped column each.

`fields.sqlite` lists the fields and the values of text fields; `field-<n>.npy` has one value for each image row. A text
is stored as a code, its place in the sorted list of the field's values, so ranges of texts are ranges of numbers.
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
PROMPT = "prompt"  # the field with the row of each image's prompt
_CACHED_ORDERS = 8  # of 8 bytes an image each
_LAST = "\U0010ffff"  # sorts after every continuation of a text


def missing_value(dtype: np.dtype[Any]) -> Any:
    """Return the value in a column of images without the field."""
    if dtype.kind == "f":
        return np.nan
    return np.iinfo(dtype).min if dtype.itemsize == 8 else -1


def present_mask(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values of a column are present, bool [images]."""
    present: NDArray[np.bool_] = (
        ~np.isnan(column) if column.dtype.kind == "f" else column != missing_value(column.dtype)
    )
    return present


@dataclass(frozen=True)
class Field:
    """One field. `values`: the most frequent values, each with the number of its images."""

    number: int
    name: str
    type: Type
    count: int
    distinct: int
    least: Any
    greatest: Any
    values: Sequence[tuple[Any, int]]


class FieldColumns:
    """Reads the fields of one version; safe to use from several threads."""

    def __init__(self, folder: Path, images: int) -> None:
        """Open the fields of the version in `folder`, which has `images` images. Raises CollectionError."""
        self._folder = folder
        self._images = images
        self._database = Database(folder / FILES.fields, "SELECT count(*) FROM fields, texts LIMIT 1")
        rows = self._database.rows("SELECT number, name, type, count, summary FROM fields ORDER BY number")
        self._fields = {row[1]: Field(*row[:4], **json.loads(row[4])) for row in rows}
        self._columns: dict[str, NDArray[Any]] = {name: self._map(field) for name, field in self._fields.items()}
        # Caches of functions of the columns: methods of `self` would form a cycle, which keeps files open until it is
        # garbage-collected.
        self.order = lru_cache(_CACHED_ORDERS)(partial(_order, self._columns))
        self.prompt_order = lru_cache(_CACHED_ORDERS)(partial(_prompt_order, self._columns))

    def __getitem__(self, name: str) -> Field:
        """Return a field by name. Raises KeyError."""
        return self._fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Any:
        return iter(self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def column(self, name: str) -> NDArray[Any]:
        """Return one value for each image, [images] in the dtype of the field's type; see `missing_value`."""
        return self._columns[name]

    @property
    def prompts(self) -> NDArray[np.int32]:
        """Return the row of each image's prompt, -1 for none: int32 [images]."""
        return self._columns[PROMPT]

    def code(self, name: str, value: str) -> int | None:
        """Return the code of a text in the field's column; None if no image has it."""
        rows = self._database.rows("SELECT code FROM texts WHERE field = ? AND value = ?", (self[name].number, value))
        return int(rows[0][0]) if rows else None

    def first_code(self, name: str, value: str, *, after: bool = False) -> int:
        """Return the least code of a text at or after `value`; with `after`, behind all texts that begin with it."""
        bound = value + _LAST if after else value
        sql = "SELECT code FROM texts WHERE field = ? AND value >= ? ORDER BY value LIMIT 1"
        rows = self._database.rows(sql, (self[name].number, bound))
        return int(rows[0][0]) if rows else np.iinfo(np.int32).max

    def present(self, name: str) -> NDArray[np.bool_]:
        """Return which images have the field, bool [images]."""
        return present_mask(self._columns[name])

    def close(self) -> None:
        """Close the database of texts."""
        self._database.close()

    def _map(self, field: Field) -> NDArray[Any]:
        path = self._folder / FILES.field(field.number)
        try:
            column: NDArray[Any] = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise CollectionError(f"the field {field.name} cannot be opened: {path}: {error}") from error
        if column.shape != (self._images,) or column.dtype != np.dtype(DTYPES[field.type]):
            raise CollectionError(
                f"{path} has {column.dtype} {column.shape}, expected {self._images} values of type {field.type}: "
                "build the collection again"
            )
        return column


def _order(columns: Mapping[str, NDArray[Any]], name: str, descending: bool) -> NDArray[np.int64]:
    """Return all rows of images sorted by the field, those without it last, equal values by row."""
    return _sort(columns[name], present_mask(columns[name]), descending)


def _prompt_order(columns: Mapping[str, NDArray[Any]], name: str, descending: bool, count: int) -> NDArray[np.int64]:
    """Return the rows of all prompts sorted by the least (descending: the greatest) value of their images."""
    column, prompts = columns[name], columns[PROMPT]
    present = present_mask(column) & (prompts >= 0)
    limits: Any = np.finfo(column.dtype) if column.dtype.kind == "f" else np.iinfo(column.dtype)
    values = np.full(count, limits.min if descending else limits.max, dtype=column.dtype)
    (np.maximum if descending else np.minimum).at(values, prompts[present], column[present])
    has_value = np.zeros(count, dtype=bool)
    has_value[prompts[present]] = True
    return _sort(values, has_value, descending)


def _sort(values: NDArray[Any], present: NDArray[np.bool_], descending: bool) -> NDArray[np.int64]:
    rows = np.flatnonzero(present)
    if descending:  # stable on the reversed rows, so that equal values are in the order of rows here, too
        rows = rows[::-1][np.argsort(values[rows[::-1]], kind="stable")][::-1]
    else:
        rows = rows[np.argsort(values[rows], kind="stable")]
    return np.concatenate([rows, np.flatnonzero(~present)])
