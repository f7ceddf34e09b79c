from __future__ import annotations

from collections.abc import Iterator

import pytest

from builder.sources import Item, Rejected
from builder.sources.inputs.reading import read_item, read_part
from promptsearch.errors import SourceError

GOOD = Item("a", "a", "a fox")


def broken(error: Exception) -> Iterator[Item | Rejected]:
    yield GOOD
    raise error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("not valid JSON"), "not valid JSON"),
        (SourceError("t.parquet cannot be read"), "t.parquet cannot be read"),
        (KeyError("x"), "reading it failed: KeyError: 'x'"),
        (RecursionError("\ud83d"), "reading it failed: RecursionError: ?"),
    ],
)
def test_errors_become_rejections_and_keep_earlier_items(error: Exception, reason: str) -> None:
    assert list(read_item("1.png\ud83d", lambda: broken(error))) == [GOOD, Rejected("1.png?", reason)]
    part = read_part("1.tar", broken(error), "the rest of it is not read")
    assert list(part) == [GOOD, Rejected("1.tar", f"{reason}; the rest of it is not read")]


def test_an_error_before_the_first_item_is_a_rejection() -> None:
    def read() -> Item:
        raise TypeError("no item")

    assert list(read_item("1.png", read)) == [Rejected("1.png", "reading it failed: TypeError: no item")]
    assert list(read_item("1.png", lambda: GOOD)) == [GOOD]
