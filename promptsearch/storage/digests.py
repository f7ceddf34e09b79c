"""Which picture each image of a version shows: `pictures.digest.npy`, the digest of its file's content by row.

uint8 [image vectors, 16], BLAKE2b of the bytes that were decoded; zeros if they are unknown, because the source brought
a vector instead. Versions built by earlier releases have no such file.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import numpy as np

from promptsearch.errors import CollectionError

SIZE = 16  # bytes of a digest
UNKNOWN = bytes(SIZE)
_BLOCK = 2**20  # rows that are compared at once


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
