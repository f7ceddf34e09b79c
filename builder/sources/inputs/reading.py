"""Turn an error while reading an item, or a part of a source, into a rejection, so that nothing else is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from promptsearch.errors import SourceError
from promptsearch.metadata.values import text

from .. import Item, Rejected

log = logging.getLogger(__name__)


def read_item(where: str, read: Callable[[], Item | Iterator[Item | Rejected]]) -> Iterator[Item | Rejected]:
    """Yield the items that `read` returns; an error becomes a rejection at `where`.

    The message of a ValueError is the reason. Any other error is a bug of ours, which is also logged.
    """
    try:
        items = read()
        if isinstance(items, Item):
            yield items
        else:
            yield from items
    except Exception as error:
        yield Rejected(text(where), _reason(where, error))


def read_part(where: str, items: Iterator[Item | Rejected], rest: str) -> Iterator[Item | Rejected]:
    """Yield the items of a part of the source, such as an archive; an error ends the part with a rejection at `where`.

    `rest` says what becomes of the items that were not read.
    """
    try:
        yield from items
    except Exception as error:
        yield Rejected(text(where), f"{_reason(where, error)}; {rest}")


def _reason(where: str, error: Exception) -> str:
    if isinstance(error, ValueError | SourceError):
        return text(error)
    log.error("reading %s failed", where, exc_info=error)
    return f"reading it failed: {type(error).__name__}: {text(error)}"
