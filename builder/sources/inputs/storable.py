"""Items as a version can store them: an odd value costs itself, never its picture and never the build."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptsearch.metadata.values import SETTINGS, plain, settings_of, size, text

from .. import Item, Rejected

log = logging.getLogger(__name__)

_MOST_BITS = 1000  # of a whole number; more than float64 can hold breaks columns of numbers


def storable(item: Item | Rejected) -> Item | Rejected:
    """Return an item whose texts, numbers and JSON SQLite and Milvus can hold; a rejection if there is no such item.

    Halves of surrogate pairs and NUL characters are replaced. A setting that is not of its type stays in `extra` as it
    stood. A width or height that is no number of pixels is left out.
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
    except Exception as error:  # whatever it is, it costs this item alone
        log.exception("an item cannot be stored")
        return Rejected(_text(item.source), f"it cannot be stored: {type(error).__name__}: {_text(error)}")


def _settings(given: Mapping[str, Any], more: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = _json(more)
    for name, value in given.items():
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
    """Return what JSON can hold, nested no deeper than `plain` keeps."""
    return _cleaned(plain(value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(name): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return hex(value)  # decimal digits of so many take very long, and Python refuses more than 4,300
    return value


def _text(value: Any) -> str:
    return text(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
