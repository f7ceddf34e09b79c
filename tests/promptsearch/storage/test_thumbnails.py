from __future__ import annotations

import io
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from promptsearch.errors import CollectionError
from promptsearch.storage.thumbnails import SCHEMA, Thumbnails, make_thumbnail
from tests.support.drawing import picture

ROWS = 50


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "thumbnails?#%.sqlite"  # a name that an unescaped URI would cut
    connection = sqlite3.connect(path)
    connection.execute(SCHEMA)
    connection.executemany("INSERT INTO thumbnails VALUES (?, ?)", [(row, b"%d" % row) for row in range(ROWS)])
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 256), (256, 128)), ((100, 300), (85, 256)), ((20, 10), (20, 10)), ((9000, 1), (256, 1))],
)
def test_thumbnails_fit_into_256_pixels_and_are_never_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    original = picture(0, *size)
    small = Image.open(io.BytesIO(make_thumbnail(original)))
    assert (small.format, small.size) == ("WEBP", expected)
    assert original.size == size


def test_thumbnails_are_found_by_row(path: Path) -> None:
    thumbnails = Thumbnails(path)
    assert (thumbnails.get(7), thumbnails.get(ROWS), thumbnails.get(-1)) == (b"7", None, None)
    thumbnails.close()


def test_threads_read_at_once(path: Path) -> None:
    thumbnails = Thumbnails(path)
    rows = list(range(ROWS)) * 40
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(thumbnails.get, rows)) == [b"%d" % row for row in rows]
    thumbnails.close()


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thumbnails.sqlite").write_bytes(content)
    with pytest.raises(CollectionError, match=r"thumbnails\.sqlite cannot be read"):
        Thumbnails(tmp_path / "thumbnails.sqlite")


def test_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="cannot be read"):
        Thumbnails(tmp_path / "missing.sqlite")
    assert not list(tmp_path.iterdir())
