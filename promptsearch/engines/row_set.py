"""The rows of an index that a filter leaves."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptsearch.system.faiss_blas import faiss


class RowSet:
    """Some of an index's rows; one bit each, and more when it is asked for."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        """`mask`: bool [rows of the index]."""
        self._bits = np.packbits(mask, bitorder="little")
        self._size = len(mask)
        self._count = int(np.count_nonzero(mask))

    def __len__(self) -> int:
        return self._count

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool [rows of the index]."""
        return np.unpackbits(self._bits, count=self._size, bitorder="little").view(np.bool_)

    @property
    def rows(self) -> NDArray[np.int64]:
        """In ascending order."""
        return np.flatnonzero(self.mask)

    @cached_property
    def selector(self) -> faiss.IDSelector:
        return faiss.IDSelectorBitmap(self._bits)
