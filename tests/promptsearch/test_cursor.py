from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from promptsearch.cursor import Cursor
from promptsearch.errors import CursorError

cursors = st.builds(
    Cursor,
    kind=st.sampled_from(["images", "prompts"]),
    version=st.text(max_size=40).filter(lambda text: len(text.encode()) < 256),
    query=arrays.arrays(np.float32, st.integers(0, 64), elements=st.floats(-1, 1, width=32)),
    offset=st.integers(0, 2**32 - 1),
    exclude=st.integers(-1, 2**63 - 1),
)


def same(one: Cursor, other: Cursor) -> bool:
    plain = (one.kind, one.version, one.offset, one.exclude) == (other.kind, other.version, other.offset, other.exclude)
    return plain and np.array_equal(one.query, other.query)


def signed(body: bytes) -> str:
    """With the checksum that `encode` would write."""
    return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, "little")).decode()


@given(cursor=cursors)
def test_what_is_encoded_is_decoded(cursor: Cursor) -> None:
    text = cursor.encode()
    assert same(Cursor.decode(text), cursor)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(cursor=cursors, place=st.floats(0, 1, exclude_max=True), letter=st.sampled_from("Aa0_-!é\ud800 ="))
def test_a_letter_changed_is_an_error(cursor: Cursor, place: float, letter: str) -> None:
    text = cursor.encode()
    at = int(place * len(text))
    changed = text[:at] + letter + text[at + 1 :]
    try:
        decoded = Cursor.decode(changed)
    except CursorError:
        return
    assert same(decoded, cursor)  # the same letter, or bits of the last one that carry nothing


@given(cursor=cursors, data=st.data())
def test_a_part_is_an_error(cursor: Cursor, data: st.DataObject) -> None:
    text = cursor.encode()
    with pytest.raises(CursorError):
        Cursor.decode(text[: data.draw(st.integers(0, len(text) - 1))])


@given(text=st.text(max_size=200) | st.binary(max_size=200).map(signed))
def test_any_text_is_a_cursor_or_an_error(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except CursorError:
        return
    assert cursor.kind in ("images", "prompts")
    assert np.isfinite(cursor.query).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_an_error(value: float) -> None:
    text = Cursor("images", "v", np.array([value, 0], dtype=np.float32), 0, -1).encode()
    with pytest.raises(CursorError, match="pass the `next` of an answer unchanged"):
        Cursor.decode(text)
