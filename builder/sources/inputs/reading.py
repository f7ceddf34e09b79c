"""The one place that catches what reading an item raises, so that it costs that item alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from promptsearch.metadata.values import text

from .. import Item, Rejected

log = logging.getLogger(__name__)


def read_item(where: str, read: Callable[[], Item | Iterator[Item | Rejected]]) -> Iterator[Item | Rejected]:
    """Yield what `read` returns. What it raises becomes a rejection that names the item.

    A ValueError says what is wrong with the item. Anything else is a fault of ours, which is logged.
    """
    try:
        found = read()
        if isinstance(found, Item):
            yield found
        else:
            yield from found
    except ValueError as error:
        yield Rejected(text(where), text(error))
    except Exception as error:
        log.exception("reading %s failed", where)
        yield Rejected(text(where), f"reading it failed: {type(error).__name__}: {text(error)}")
