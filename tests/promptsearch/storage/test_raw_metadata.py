from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import CollectionError
from promptsearch.storage.raw_metadata import MAX_BYTES, SCHEMA, RawMetadata, pack, unpack


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=100), max_size=4))
def test_texts_come_back_as_they_stood(texts: dict[str, str]) -> None:
    assert unpack(pack(texts)) == texts


@pytest.mark.parametrize("packed", [b"", b"x", pack({"a": "b"})[:-3], zlib.compress(bytes(MAX_BYTES + 1))])
def test_damaged_texts_are_an_error(tmp_path: Path, packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|expected at most"):
        unpack(packed)
    database = sqlite3.connect(tmp_path / "raw.sqlite")
    database.execute(SCHEMA)
    database.execute("INSERT INTO raw VALUES (0, ?)", (packed,))
    database.commit()
    database.close()
    raw = RawMetadata(tmp_path / "raw.sqlite")
    assert raw.get(1) == {}
    with pytest.raises(CollectionError, match="image 0"):
        raw.get(0)
    raw.close()


def test_an_invalid_database_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "raw.sqlite").write_text("no database at all, but long enough to look at" * 10)
    with pytest.raises(CollectionError):
        RawMetadata(tmp_path / "raw.sqlite")
