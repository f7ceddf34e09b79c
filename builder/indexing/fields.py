"""The fields that a collection can be filtered by: one column each, written from the items mostly inside SQLite.

Fields are the columns of the images (`prompt` and `image_count` among them) that are not empty, and the keys of `extra`
whose values are texts, numbers or true/false. A key with the name of a column is called `extra.<key>`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from promptsearch.storage.fields import DTYPES, PROMPT, SCHEMA, Type, missing_value, present_mask
from promptsearch.storage.manifest import FILES

log = logging.getLogger(__name__)

MOST_FIELDS = 200  # keys of `extra`; the most frequent ones
_VALUES = 20  # frequent values in a summary
_BATCH = 100_000
_COLUMNS: dict[str, Type] = {
    PROMPT: "prompt", "image_count": "integer", "width": "integer", "height": "integer", "seed": "integer",
    "steps": "integer", "cfg_scale": "number", "sampler": "string", "model": "string", "created": "time",
    "source": "string", "file": "string",
}  # fmt: skip
_JSON_TYPES = {
    "true": "boolean", "false": "boolean", "integer": "integer", "real": "number", "text": "string",
}  # fmt: skip


@dataclass(frozen=True)
class _Source:
    """Where a field's values come from: an SQL expression over a row of images."""

    name: str
    type: Type
    expression: str


def write_fields(folder: Path) -> None:
    """Write the fields of the items in `folder`, a version that is being built."""
    for old in folder.glob(FILES.field("*")):
        old.unlink()
    (folder / FILES.fields).unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(folder / FILES.fields, isolation_level=None)) as database:
        database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SCHEMA}")
        database.execute("ATTACH ? AS items", (str(folder / FILES.items),))
        database.execute("BEGIN")
        (count,) = database.execute("SELECT count(*) FROM items.images").fetchone()
        for number, source in enumerate(_sources(database)):
            _write(database, folder, number, source, count)
        database.execute("COMMIT")


def _sources(database: sqlite3.Connection) -> Iterator[_Source]:
    for name, type in _COLUMNS.items():
        expression = (
            "(SELECT image_count FROM items.prompts WHERE prompts.row = prompt)" if name == "image_count" else name
        )
        where = "file IS NOT source AND file IS NOT NULL" if name == "file" else f"{expression} IS NOT NULL"
        if (
            database.execute(f"SELECT EXISTS (SELECT 1 FROM items.images WHERE {where})").fetchone()[0]
            or name == PROMPT
        ):
            yield _Source(name, type, expression)
    yield from _extras(database)


def _extras(database: sqlite3.Connection) -> Iterator[_Source]:
    """Yield the keys of `extra`, by name."""
    keys = database.execute(
        "SELECT key, json_group_array(DISTINCT one.type), sum(one.type = 'integer' AND typeof(one.value) = 'real') "
        "FROM items.images, json_each(extra) AS one "
        "WHERE one.type IN ('true', 'false', 'integer', 'real', 'text') GROUP BY key ORDER BY count(*) DESC, key"
    ).fetchall()
    if left_out := [key for key, *_ in keys[MOST_FIELDS:]]:
        log.warning("%d rare fields cannot be filtered by, %s among them", len(left_out), left_out[0])
    renamed = {_field_name(key) for key, *_ in keys if _field_name(key) != key}
    for key, json_types, too_large in sorted(keys[:MOST_FIELDS]):
        # SQLite's JSON has no path to some keys, and field names are unique.
        if '"' in key or "\\" in key or key in renamed:
            log.warning("the field %r cannot be filtered by", key)
            continue
        types = {_JSON_TYPES[name] for name in json.loads(json_types)}
        if types == {"integer"} and not too_large:
            type: Type = "integer"
        elif types <= {"integer", "number"}:
            type = "number"
        else:  # mixed types are text
            type = "boolean" if types == {"boolean"} else "string"
        path = '$."' + key.replace("'", "''") + '"'
        value = (
            f"CASE WHEN json_type(extra, '{path}') NOT IN ('array', 'object') THEN json_extract(extra, '{path}') END"
        )
        yield _Source(_field_name(key), type, value)


def _field_name(key: str) -> str:
    """Return the name of the field that a key of `extra` becomes."""
    return f"extra.{key}" if key in _COLUMNS or key == "id" else key


def _write(database: sqlite3.Connection, folder: Path, number: int, source: _Source, count: int) -> None:
    dtype = np.dtype(DTYPES[source.type])
    column = np.lib.format.open_memmap(folder / FILES.field(number), mode="w+", dtype=dtype, shape=(count,))
    column[:] = missing_value(dtype)
    coded = source.type in ("string", "time")
    if coded:
        database.execute(
            f"INSERT INTO texts SELECT {number}, row_number() OVER (ORDER BY value) - 1, value FROM "
            f"(SELECT DISTINCT CAST({source.expression} AS TEXT) AS value FROM items.images) WHERE value IS NOT NULL"
        )
        values = database.execute(
            "SELECT row, "
            f"(SELECT code FROM texts WHERE field = {number} AND value = CAST({source.expression} AS TEXT)) AS code "
            "FROM items.images WHERE code IS NOT NULL"
        )
    else:
        values = database.execute(f"SELECT row, {source.expression} AS value FROM items.images WHERE value IS NOT NULL")
    present = 0
    while batch := values.fetchmany(_BATCH):
        rows, cells = zip(*batch, strict=True)
        column[list(rows)] = cells
        present += len(batch)
    column.flush()
    summary = _summary(database, number, source.type, column[present_mask(column)])
    database.execute(
        "INSERT INTO fields VALUES (?, ?, ?, ?, ?)", (number, source.name, source.type, present, json.dumps(summary))
    )


def _summary(database: sqlite3.Connection, number: int, type: Type, present: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return the summary of a field in `GET /collections/{name}/fields`."""
    distinct, counts = np.unique(present, return_counts=True)

    def value(of: Any) -> Any:
        if type in ("string", "time"):
            sql = "SELECT value FROM texts WHERE field = ? AND code = ?"
            return database.execute(sql, (number, int(of))).fetchone()[0]
        return bool(of) if type == "boolean" else of.item()

    ranged = type in ("integer", "number", "time") and len(distinct)
    frequent = np.argsort(-counts, kind="stable")[:_VALUES]
    listed = type != "prompt" and 2 * len(distinct) <= len(present)  # else nearly all values differ
    return {
        "distinct": len(distinct),
        "least": value(distinct[0]) if ranged else None,
        "greatest": value(distinct[-1]) if ranged else None,
        "values": [[value(distinct[place]), int(counts[place])] for place in frequent] if listed else [],
    }
