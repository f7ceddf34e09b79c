from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from promptsearch.errors import CursorError
from promptsearch.filtering.filters import Filter
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import MODES, Options, Search

filters = st.builds(
    Filter.parse,
    st.dictionaries(
        st.text(max_size=9).filter(lambda name: name not in ("and", "or", "not")), st.integers() | st.text()
    ),
)
options = st.builds(
    Options,
    mode=st.sampled_from(MODES),
    filter=st.none() | filters,
    sort=st.none() | st.text(max_size=9),
    min_score=st.none() | st.floats(-1, 1),
    deduplicate=st.booleans(),
)
cursors = st.builds(
    Cursor,
    version=st.text(max_size=40),
    search=st.builds(
        Search,
        kind=st.sampled_from(["images", "prompts"]),
        vector=arrays.arrays(np.float32, st.integers(1, 64), elements=st.floats(-1, 1, width=32)),
        options=options,
        words=st.text(min_size=1, max_size=40).filter(str.strip),
        exclude=st.lists(st.integers(0, 2**63 - 1), max_size=3).map(tuple),
    ),
    offset=st.integers(0, 2**32 - 1),
)


def same(cursor: Cursor, other: Cursor) -> bool:
    search, others = cursor.search, other.search
    plain = (cursor.version, cursor.offset, search.kind, search.options, search.words, search.exclude) == (
        other.version, other.offset, others.kind, others.options, others.words, others.exclude
    )  # fmt: skip
    assert search.vector is not None
    assert others.vector is not None
    return plain and np.array_equal(search.vector, others.vector)


def signed(body: bytes) -> str:
    """Return a cursor of this body with the checksum that `encode` would write."""
    return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, "little")).decode()


@given(cursor=cursors)
def test_encoded_cursor_is_decoded(cursor: Cursor) -> None:
    text = cursor.encode()
    assert same(Cursor.decode(text), cursor)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(cursor=cursors, place=st.floats(0, 1, exclude_max=True), letter=st.sampled_from("Aa0_-!é\ud800 ="))
def test_changed_character_is_an_error(cursor: Cursor, place: float, letter: str) -> None:
    text = cursor.encode()
    at = int(place * len(text))
    changed = text[:at] + letter + text[at + 1 :]
    try:
        decoded = Cursor.decode(changed)
    except CursorError:
        return
    assert same(decoded, cursor)  # the same letter, or bits of the last one that carry nothing


@given(cursor=cursors, data=st.data())
def test_truncated_cursor_is_an_error(cursor: Cursor, data: st.DataObject) -> None:
    text = cursor.encode()
    with pytest.raises(CursorError):
        Cursor.decode(text[: data.draw(st.integers(0, len(text) - 1))])


@given(text=st.text(max_size=200) | st.binary(max_size=200).map(signed))
def test_any_text_is_a_cursor_or_an_error(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except CursorError:
        return
    assert cursor.search.kind in ("images", "prompts")
    assert cursor.search.vector is None or np.isfinite(cursor.search.vector).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cursor_with_a_vector_that_is_not_finite_is_an_error(value: float) -> None:
    text = Cursor("v", Search("images", np.array([value, 0], dtype=np.float32)), 0).encode()
    with pytest.raises(CursorError, match="pass the `next` of an answer unchanged"):
        Cursor.decode(text)


@pytest.mark.parametrize(
    "values",
    [
        {},
        [],
        {"kind": "pictures", "version": "v", "offset": 0},
        {"kind": "images", "version": "v", "offset": -1},
        {"kind": "images", "version": "v", "offset": 0, "options": {"mode": "best"}},
        {"kind": "images", "version": "v", "offset": 0, "options": {"filter": "[1]"}},
        {"kind": "images", "version": "v", "offset": 0, "options": {"unknown": 1}},
        {"kind": "images", "version": "v", "offset": 0, "options": [1]},
        {"kind": "images", "version": "v", "offset": 0, "exclude": 3},
        {"kind": "images", "version": "v", "offset": 0, "options": {"via": "images"}},
    ],
)
def test_forged_cursor_with_a_valid_checksum_is_an_error(values: object) -> None:
    text = json.dumps(values).encode()
    vector = np.array([1, 0], dtype="<f4").tobytes()
    with pytest.raises(CursorError):
        Cursor.decode(signed(len(text).to_bytes(2, "little") + text + vector))
