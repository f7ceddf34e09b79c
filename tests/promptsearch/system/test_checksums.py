"""Checksums are computed once, and again when anything about the file changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptsearch.system.checksums import NAME, Checksums
from promptsearch.system.files import sha256_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_checksums_are_correct_and_saved(file: Path, tmp_path: Path) -> None:
    checksums = Checksums(tmp_path / "cache")
    assert not checksums.is_known(file)
    assert checksums.of(file) == sha256_of(file)
    assert checksums.is_known(file)
    checksums.save()
    assert Checksums(tmp_path / "cache").is_known(file)
    assert Checksums(tmp_path / "cache").of(file) == sha256_of(file)


def test_a_change_of_the_same_size_and_time_is_noticed(file: Path) -> None:
    checksums = Checksums(None)
    old = checksums.of(file)
    status = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not checksums.is_known(file)
    assert checksums.of(file) == sha256_of(file) != old


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"a": 1}', '{"a": [["x"], 5]}'])
def test_a_damaged_record_is_written_again(file: Path, tmp_path: Path, damage: str) -> None:
    (tmp_path / NAME).write_text(damage)
    checksums = Checksums(tmp_path)
    assert checksums.of(file) == sha256_of(file)
    checksums.save()
    assert Checksums(tmp_path).is_known(file)


def test_an_unwritable_record_is_ignored(file: Path) -> None:
    checksums = Checksums(file / "no folder")
    assert checksums.of(file) == sha256_of(file)
    checksums.save()


def test_processes_share_checksums_and_forget_removed_files(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    first, second = Checksums(tmp_path), Checksums(tmp_path)
    first.of(file)
    first.save()
    second.of(other)
    second.save()
    assert Checksums(tmp_path).is_known(file)
    assert Checksums(tmp_path).is_known(other)
    other.unlink()
    second.save()
    assert "other" not in (tmp_path / NAME).read_text()
