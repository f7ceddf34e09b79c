"""CSV files as streams of rows, and cells of whatever comes from outside as values that a collection can hold."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptsearch.errors import SourceError

# A cell may be longer than the default's 128 KB, but not much: a quote that is never closed swallows rows up to here.
csv.field_size_limit(2**21)

Row = Mapping[str, str]


def read_csv(
    path: Path, *, all_of: Sequence[str] = (), any_of: Sequence[str] = ()
) -> Iterator[tuple[int, Row | csv.Error]]:
    """Line number (of the row's last line) and cells of each row; cells that a short row lacks are not among them.

    A row that cannot be parsed comes as its error and the next one follows. Raises SourceError where the file cannot
    be read or columns are missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            columns = set(header)
            if missing := set(all_of) - columns:
                raise SourceError(f"{path} has no column {', '.join(sorted(missing))}; it needs {', '.join(all_of)}")
            if any_of and not columns.intersection(any_of):
                raise SourceError(f"{path} has none of the columns {', '.join(any_of)}")
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield reader.line_num, error
                    continue
                if cells is None:
                    return
                if cells:
                    yield reader.line_num, dict(zip(header, cells, strict=False))
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def columns_of_csv(path: Path) -> set[str]:
    """Raises SourceError where it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return set(next(csv.reader(file), []))
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def count_lines(path: Path) -> int:
    """The lines of a file; a CSV has as many rows but its header, where no cell has a line break."""
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))


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


def text(value: Any) -> str:
    """As text that every database takes: JSON can carry half a surrogate pair."""
    return str(value).encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """As JSON can hold it: a float that is no number becomes null, a time or whatever else its text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {text(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return text(value)


def told(cells: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and extra of cells that must not cost us the item: a setting that is no such value stays in extra.

    Cells that are empty, or nothing but null, are left out.
    """
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in cells.items():
        cell = plain(value)
        if cell in (None, "", [], {}):
            continue
        try:
            settings.update(settings_of({name: cell}))
        except ValueError:
            extra[text(name)] = cell
        else:
            if name not in SETTINGS:
                extra[text(name)] = cell
    return settings, extra


def json_object(raw: str | bytes) -> dict[str, Any]:
    """Raises ValueError that says what is wrong with it."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("this is no JSON object")  # noqa: TRY004 - the data is wrong, not the program
    return found


def size(value: Any) -> int | None:
    """A width or height in pixels; None where it is none."""
    try:
        pixels = whole(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return pixels if pixels > 0 else None
