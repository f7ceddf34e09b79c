from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from promptsearch.errors import CollectionError
from promptsearch.storage.digests import FileDigests, PictureDigests, digest_of


def written(path: Path, digests: list[bytes]) -> Path:
    np.save(path, np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 16))
    return path


def test_pictures_are_found_by_their_whole_digest(tmp_path: Path) -> None:
    known, same_start, other = b"a" * 16, b"a" * 8 + b"b" * 8, b"c" * 16
    opened = PictureDigests(written(tmp_path / "d.npy", [known, other, bytes(16), same_start, known]), 5)
    assert opened.rows({known}) == [0, 4]
    assert opened.rows({known, other}) == [0, 1, 4]
    assert opened.rows({b"a" * 8 + b"d" * 8}) == []
    assert opened.rows(set()) == []
    assert [opened.of(row) for row in range(6)] == [known, other, None, same_start, known, None]


def test_more_rows_than_are_compared_at_once(tmp_path: Path) -> None:
    digests = np.zeros((2**20 + 3, 16), dtype=np.uint8)
    digests[[7, 2**20 + 1]] = 9
    np.save(tmp_path / "d.npy", digests)
    assert PictureDigests(tmp_path / "d.npy", len(digests)).rows({b"\x09" * 16}) == [7, 2**20 + 1]


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"d.npy holds uint8 \[1, 16\], expected uint8 \[2, 16\]: build"):
        PictureDigests(written(tmp_path / "d.npy", [b"a" * 16]), 2)
    (tmp_path / "d.npy").write_bytes(b"no array")
    with pytest.raises(CollectionError, match=r"d.npy cannot be read"):
        PictureDigests(tmp_path / "d.npy", 2)


def test_a_file_is_read_again_only_if_it_changed(tmp_path: Path) -> None:
    file, other = tmp_path / "a.png", tmp_path / "b.png"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    digests = FileDigests()
    assert digests.of(file) == digest_of(b"one")
    unchanged = file.stat()
    os.utime(other, ns=(unchanged.st_atime_ns, unchanged.st_mtime_ns))  # of the same size and time
    other.replace(file)
    assert digests.of(file) == digest_of(b"two")
    file.write_bytes(b"three")
    assert digests.of(file) == digest_of(b"three")
    with pytest.raises(FileNotFoundError):
        digests.of(other)


def bytes_read() -> int:
    """Return the bytes that this process has read from files, as Linux counts them."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    file, digests = tmp_path / "a.png", FileDigests()
    file.write_bytes(bytes(2**24))
    before = bytes_read()
    assert digests.of(file) == digest_of(bytes(2**24))
    between = bytes_read()
    assert digests.of(file) == digest_of(bytes(2**24))
    assert between - before >= 2**24 > bytes_read() - between
