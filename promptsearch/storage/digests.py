"""Which picture each image of a version shows: `pictures.digest.npy`, the digest of its file's content by row.

uint8 [image vectors, 16], BLAKE2b of the bytes that were decoded, or of the vector if the source brought that instead;
zeros if neither is known. Versions built by earlier releases have no such file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Set
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import CollectionError

SIZE = 16  # bytes of a digest
UNKNOWN = bytes(SIZE)
REMEMBERED = 100_000  # files whose digests are kept in memory, about 300 bytes each
_BLOCK = 2**20  # rows that are compared at once
_new_hash = partial(hashlib.blake2b, digest_size=SIZE)


def digest_of(content: bytes) -> bytes:
    """Return a digest of 16 bytes. Published versions and takedowns store it, so the algorithm never changes."""
    return _new_hash(content).digest()


def digest_of_vector(vector: NDArray[np.float16] | NDArray[np.float32]) -> bytes:
    """Return the digest of a picture of which the source has only the unit vector: that of its float16 numbers.

    Every version stores these numbers, so the digest can also be computed for versions of earlier releases.
    """
    return digest_of(vector.astype("<f2").tobytes())


class PictureDigests:
    """Read access, from any thread; memory-mapped."""

    def __init__(self, path: Path, count: int) -> None:
        """Open the file of a version with `count` image vectors. Raises CollectionError if it is damaged."""
        try:
            digests = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise CollectionError(f"{path} cannot be read: {error}") from error
        if digests.dtype != np.uint8 or digests.shape != (count, SIZE):
            raise CollectionError(
                f"{path} holds {digests.dtype} {list(digests.shape)}, expected uint8 [{count}, {SIZE}]: "
                "build the collection again"
            )
        self._digests = digests
        self._halves = digests.view("<u8")  # [count, 2]: numbers are compared faster than bytes

    def of(self, row: int) -> bytes | None:
        """Return the digest of the picture in a row; None if it is unknown."""
        digest = self._digests[row].tobytes() if row < len(self._digests) else UNKNOWN
        return None if digest == UNKNOWN else digest

    def rows(self, digests: Set[bytes]) -> list[int]:
        """Return the rows of images that show one of these pictures, in ascending order."""
        wanted = np.array([int.from_bytes(digest[:8], "little") for digest in digests], dtype="<u8")
        rows: list[int] = []
        for start in range(0, len(self._halves) if len(wanted) else 0, _BLOCK):
            alike = np.flatnonzero(np.isin(self._halves[start : start + _BLOCK, 0], wanted)) + start
            rows += [row for row in alike.tolist() if self.of(row) in digests]
        return rows


class FileDigests:
    """The digests of files' contents; safe to use from several threads.

    A file is read once, and again after it changed or another one took its name.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, bytes]] = {}  # path -> what identifies its content, and the digest

    def of(self, path: Path) -> bytes:
        """Return the digest of a file's content. Raises OSError if it cannot be read."""
        with path.open("rb") as file:
            state = _state(os.fstat(file.fileno()))
            known, digest = self._known.get(path, (None, UNKNOWN))
            if known == state:
                return digest
            digest = hashlib.file_digest(file, _new_hash).digest()
            if _state(os.fstat(file.fileno())) == state:  # nobody wrote meanwhile
                self._remember(path, state, digest)
        return digest

    def _remember(self, path: Path, state: object, digest: bytes) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[path] = (state, digest)


def _state(status: os.stat_result) -> object:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
