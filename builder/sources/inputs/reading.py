"""Turn an error while reading an item into a rejection, so that only that item is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

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
    except ValueError as error:
        yield Rejected(text(where), text(error))
    except Exception as error:
        log.exception("reading %s failed", where)
        yield Rejected(text(where), f"reading it failed: {type(error).__name__}: {text(error)}")
