"""Convert untrusted values (from a chunk, a cell, JSON) to values that a collection can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

MAX_DEPTH = 64  # of nested JSON; deeper values become null
_MAX_DIGITS = 4000  # of a whole number; Python converts no more than 4,300
MAX_JSON_CHARACTERS = 2**25  # of one text; workflows of ComfyUI with thousands of nodes have about 2 million


def whole(value: Any) -> int:
    """Return a whole number that SQLite can hold. Raises TypeError, ValueError or OverflowError."""
    number = float(value) if isinstance(value, str) and not value.lstrip("+-").isdigit() else value
    if isinstance(number, bool) or (isinstance(number, float) and number != math.trunc(number)):
        raise ValueError(f"expected a whole number, got {value!r}")
    number = int(number)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"expected a number of at most 64 bits, got {value!r}")
    return number


def real(value: Any) -> float:
    """Return a finite number. Raises TypeError, ValueError or OverflowError."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {value!r}")
    return number


def moment(value: Any) -> str:
    """Convert seconds since 1970 or an ISO 8601 time to ISO 8601 in UTC. Raises ValueError if it is neither."""
    try:
        when = datetime.fromtimestamp(float(value), tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        when = datetime.fromisoformat(str(value))
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat().replace("+00:00", "Z")


def word(value: Any) -> str:
    """Return a scalar as text. Raises ValueError for lists and objects."""
    if isinstance(value, list | dict):
        raise ValueError(f"expected text, got {value!r}")  # noqa: TRY004 - the data is wrong, not the program
    return str(value)


SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "seed": whole,
    "steps": whole,
    "cfg_scale": real,
    "sampler": word,
    "model": word,
    "created": moment,
}


def settings_of(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings among these cells, typed, without empty cells. Raises ValueError that names the cell."""
    return {
        name: typed(name, cells[name], kind) for name, kind in SETTINGS.items() if cells.get(name) not in (None, "")
    }


def typed(name: str, value: Any, kind: Callable[[Any], Any]) -> Any:
    """Convert a cell with `kind`. Raises ValueError that names the cell."""
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error


def number(value: Any) -> Any:
    """Convert a text that is a number to int or float; return anything else, and integers above 64 bits, as is."""
    if not isinstance(value, str) or len(value) > 30:
        return value
    if value.lstrip("+-").isdigit():
        return typed_or_same(value, whole)
    return typed_or_same(value, real)


def typed_or_same(value: Any, kind: Callable[[Any], Any]) -> Any:
    """Convert a value with `kind`; return it unchanged if that fails."""
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return value


def text(value: Any) -> str:
    """Return a text that every database accepts, without the lone surrogates that JSON can contain."""
    return str(value).encode("utf-8", "replace").decode()


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value that JSON can hold: NaN and infinities become null, other types become text.

    Objects and lists nested deeper than MAX_DEPTH become null.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple):
        if depth >= MAX_DEPTH:
            return None
        if isinstance(value, Mapping):
            return {text(name): plain(inner, depth + 1) for name, inner in value.items()}
        return [plain(inner, depth + 1) for inner in value]
    return text(value)


def split_settings(cells: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split cells into typed settings and `extra`; a setting with an invalid value goes to `extra` unchanged.

    Cells that are empty or null are dropped.
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


def parse_json(raw: str | bytes) -> Any:
    """Parse JSON; a whole number of more than _MAX_DIGITS digits stays text. Raises ValueError if it is not JSON."""
    try:
        return json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else digits)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {error}") from None


def json_object(raw: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError if the text is not JSON, or is not an object."""
    parsed = parse_json(raw)
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the data is wrong, not the program
    return parsed


def json_object_or_empty(raw: Any) -> dict[str, Any]:
    """Parse a JSON object; return an empty one for anything else, and for more than MAX_JSON_CHARACTERS."""
    if isinstance(raw, dict):
        return raw
    if not isinstance(raw, str) or len(raw) > MAX_JSON_CHARACTERS or not raw.lstrip().startswith("{"):
        return {}
    try:
        return json_object(raw)
    except ValueError:
        return {}


def odd_sizes(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the width and height if they are not valid sizes, to be kept in `extra` unchanged."""
    return {name: cells[name] for name in ("width", "height") if cells.get(name) and size(cells[name]) is None}


def size(value: Any) -> int | None:
    """Return a width or height in pixels; None if it is not a positive whole number."""
    try:
        pixels = whole(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return pixels if pixels > 0 else None
