"""Make items storable: an invalid value is dropped or moved, and costs neither its picture nor the build."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptsearch.metadata.values import SETTINGS, plain, settings_of, size, text

from .. import Item, Rejected

log = logging.getLogger(__name__)

_MOST_BITS = 1000  # of a whole number; one above the range of float64 breaks columns of numbers


def storable(item: Item | Rejected) -> Item | Rejected:
    """Return the item with texts, numbers and JSON that SQLite and Milvus can hold; a rejection if that fails.

    Lone surrogates and NUL characters are replaced. A setting that is not of its type is kept in `extra`. A width or
    height that is not a number of pixels is dropped.
    """
    if isinstance(item, Rejected):
        return Rejected(_text(item.where), _text(item.reason))
    try:
        settings, extra = _settings(item.settings, item.extra)
        return replace(
            item,
            key=_text(item.key),
            source=_text(item.source),
            prompt=None if item.prompt is None else _text(item.prompt),
            width=size(item.width),
            height=size(item.height),
            settings=settings,
            extra=extra,
        )
    except Exception as error:  # any error costs only this item
        log.exception("an item cannot be stored")
        return Rejected(_text(item.source), f"the item cannot be stored: {type(error).__name__}: {_text(error)}")


def _settings(values: Mapping[str, Any], others: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = _json(others)
    for name, value in values.items():
        value = _json(value)
        try:
            typed = settings_of({name: value}) if name in SETTINGS else {}
        except ValueError:
            typed = {}
        if typed:
            settings |= typed
        elif value not in (None, ""):
            extra.setdefault(_text(name), value)
    return settings, extra


def _json(value: Any) -> Any:
    """Return a value that JSON and the databases can hold, nested no deeper than `plain` keeps."""
    return _cleaned(plain(value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(name): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return hex(value)  # decimal conversion is slow at this size, and Python refuses more than 4,300 digits
    return value


def _text(value: Any) -> str:
    return text(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
