from __future__ import annotations

from pathlib import Path

import pytest

from promptsearch.errors import CollectionError
from promptsearch.storage.hidden import read_hidden


def test_without_a_file_nothing_is_hidden(tmp_path: Path) -> None:
    assert read_hidden(tmp_path) == frozenset()


def test_one_id_a_line_and_room_for_people(tmp_path: Path) -> None:
    (tmp_path / "hidden").write_bytes("\ufeffa1\r\n\n# asked for on Monday, ü\n  b2 # by mail\nc3".encode())
    assert read_hidden(tmp_path) == {"a1", "b2", "c3"}


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_no_empty_one(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "hidden").mkdir()
    else:
        (tmp_path / "hidden").write_bytes(content)
    with pytest.raises(CollectionError, match="hidden cannot be read, so what is taken down is unknown"):
        read_hidden(tmp_path)
