"""CSV files as streams of rows, and their cells as typed values."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptsearch.errors import SourceError

csv.field_size_limit(2**24)  # a prompt's raw data may be long; the default limit ends a whole file at 128 KB

Row = Mapping[str, str]


def read_csv(path: Path, *, all_of: Sequence[str] = (), any_of: Sequence[str] = ()) -> Iterator[tuple[int, Row]]:
    """Line number (of the row's last line) and cells of each row; raises SourceError where columns are missing."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            columns = set(reader.fieldnames or ())
            if missing := set(all_of) - columns:
                raise SourceError(f"{path} has no column {', '.join(sorted(missing))}; it needs {', '.join(all_of)}")
            if any_of and not columns.intersection(any_of):
                raise SourceError(f"{path} has none of the columns {', '.join(any_of)}")
            for row in reader:
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def whole(value: Any) -> int:
    """A whole number that SQLite can hold."""
    number = float(value) if isinstance(value, str) and not value.lstrip("+-").isdigit() else value
    if isinstance(number, bool) or (isinstance(number, float) and number != math.trunc(number)):
        raise ValueError(f"{value!r} is no whole number")
    number = int(number)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{value!r} does not fit into 64 bits")
    return number


def real(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number


def moment(value: Any) -> str:
    """Seconds since 1970 or ISO 8601 -> ISO 8601 in UTC."""
    try:
        when = datetime.fromtimestamp(float(value), tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        when = datetime.fromisoformat(str(value))
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat().replace("+00:00", "Z")


SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "seed": whole,
    "steps": whole,
    "cfg_scale": real,
    "sampler": str,
    "model": str,
    "created": moment,
}


def settings_of(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among these cells, typed; empty cells are left out. Raises ValueError that names the cell."""
    return {
        name: typed(name, cells[name], kind) for name, kind in SETTINGS.items() if cells.get(name) not in (None, "")
    }


def typed(name: str, value: Any, kind: Callable[[Any], Any]) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error
