from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import CollectionError
from promptsearch.storage.hidden import Takedown, parse_line, read_hidden


def test_a_missing_file_hides_nothing(tmp_path: Path) -> None:
    assert read_hidden(tmp_path) == frozenset()


def test_lines_have_one_id_and_optional_comments(tmp_path: Path) -> None:
    (tmp_path / "hidden").write_bytes("\ufeffa1\r\n\n# asked for on Monday, ü\n  b2 # by mail\nc3".encode())
    assert read_hidden(tmp_path) == {Takedown("a1"), Takedown("b2"), Takedown("c3")}


def test_a_takedown_may_follow_a_picture(tmp_path: Path) -> None:
    digest = "6ae1ca3ef4dcc3d4ba4dcbcfa3d7e2a1"
    (tmp_path / "hidden").write_text(
        f"a1 # picture {digest}\nb2#picture {digest}; by mail\nc3 # the picture {digest}\nd4 # picture {digest}0\n"
        f"# picture {digest}\n"
    )
    picture = bytes.fromhex(digest)
    assert read_hidden(tmp_path) == {
        Takedown("a1", picture), Takedown("b2", picture), Takedown("c3"), Takedown("d4")
    }  # fmt: skip


@given(st.from_regex(r"[0-9a-f]{20}", fullmatch=True), st.none() | st.binary(min_size=16, max_size=16))
def test_a_written_line_is_read_back(id: str, picture: bytes | None) -> None:
    assert parse_line(f"{Takedown(id, picture)}\n") == Takedown(id, picture)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unreadable_file_is_not_treated_as_empty(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "hidden").mkdir()
    else:
        (tmp_path / "hidden").write_bytes(content)
    with pytest.raises(CollectionError, match="hidden cannot be read, so what is taken down is unknown"):
        read_hidden(tmp_path)
