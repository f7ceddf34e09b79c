"""SQLite files that are opened as immutable."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptsearch.errors import CollectionError
from promptsearch.storage.sqlite import Database

SQUARE = "SELECT square FROM squares WHERE number = ?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a #?% file.sqlite"  # characters that mean something in a URI
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE squares (number INTEGER PRIMARY KEY, square INTEGER)")
        database.executemany("INSERT INTO squares VALUES (?, ?)", [(number, number**2) for number in range(1000)])
        database.commit()
    return path


def is_open(path: Path) -> bool:
    return any(link.resolve() == path for link in Path("/proc/self/fd").iterdir())


def test_threads_read_at_once(path: Path) -> None:
    with contextlib.closing(Database(path, "SELECT 1 FROM squares")) as database, ThreadPoolExecutor(8) as pool:
        rows = pool.map(lambda number: database.rows(SQUARE, (number,)), range(1000))
        assert list(rows) == [[(number**2,)] for number in range(1000)]


def test_file_cannot_be_written(path: Path) -> None:
    before = path.read_bytes()
    opened = contextlib.closing(Database(path, "SELECT 1 FROM squares"))
    with opened as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.rows("DELETE FROM squares")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # neither a journal nor a lock


def test_file_is_read_after_it_was_deleted(path: Path) -> None:
    with contextlib.closing(Database(path, "SELECT 1 FROM squares")) as database:
        path.unlink()
        assert database.rows(SQUARE, (30,)) == [(900,)]


def test_file_is_closed_explicitly_or_with_the_last_reference(path: Path) -> None:
    database = Database(path, "SELECT 1 FROM squares")
    assert is_open(path)
    database.close()
    assert not is_open(path)
    database = Database(path, "SELECT 1 FROM squares")
    assert is_open(path)
    gc.disable()  # references are counted: no cycle needs to be found
    try:
        del database
        assert not is_open(path)
    finally:
        gc.enable()


@pytest.mark.parametrize("probe", ["SELECT 1 FROM cubes", "SELECT cube FROM squares", "nonsense"])
def test_file_whose_probe_fails_is_refused_and_closed(path: Path, probe: str) -> None:
    with pytest.raises(CollectionError, match="cannot be read"):
        Database(path, probe)
    assert not is_open(path)


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
def test_missing_or_damaged_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CollectionError, match=r"file\.sqlite cannot be read"):
        Database(path, "SELECT 1 FROM squares")
    assert path.exists() == (content is not None)
