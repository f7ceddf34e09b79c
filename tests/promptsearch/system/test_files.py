from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from promptsearch.system.files import replace_text, sha256_of, to_json


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_replaced_file_has_the_new_text_and_no_temporary_file_remains(tmp_path: Path) -> None:
    for text in ("old", "neu: ü ☃"):
        replace_text(tmp_path / "file", text)
        assert (tmp_path / "file").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    replace_text(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(tmp_path / "file", "\ud800")
    assert (tmp_path / "file").read_text() == "old"


def test_json_keeps_letters_and_order() -> None:
    value = {"b": "ü", "a": [1.5, None]}
    assert json.loads(to_json(value)) == value
    assert to_json(value).index('"b": "ü"') < to_json(value).index('"a"')
