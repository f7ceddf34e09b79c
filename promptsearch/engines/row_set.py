"""A set of rows of an index, such as those that meet a filter."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptsearch.system.faiss_blas import faiss


class RowSet:
    """Some rows of an index, stored as one bit each."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        """Store the rows that are True in `mask`, bool [rows of the index]."""
        self._bits = np.packbits(mask, bitorder="little")
        self._size = len(mask)
        self._count = int(np.count_nonzero(mask))

    def __len__(self) -> int:
        return self._count

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Return the set as bool [rows of the index]."""
        return np.unpackbits(self._bits, count=self._size, bitorder="little").view(np.bool_)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return the rows in ascending order, int64 [n]."""
        return np.flatnonzero(self.mask)

    @cached_property
    def selector(self) -> faiss.IDSelector:
        """Return the set as FAISS takes it."""
        return faiss.IDSelectorBitmap(self._bits)
