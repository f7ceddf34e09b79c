"""Write rows to disk: a `.npy` that grows row by row and is a valid file once closed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class VectorFile:
    """Append-only [rows, dim], float16 by default. A file that was not closed has a header of zero rows."""

    def __init__(self, path: Path, dim: int, dtype: str = "<f2") -> None:
        self.rows = 0
        self._dim, self._dtype = dim, np.dtype(dtype)
        self._file = path.open("wb")
        self._write_header()
        self._start = self._file.tell()

    def append(self, vectors: NDArray[np.float16] | NDArray[np.float32] | NDArray[np.uint8]) -> None:
        """Append [n, dim], converted to the file's type; float16 keeps a unit vector's cosine to 1e-4."""
        self._file.write(np.ascontiguousarray(vectors, dtype=self._dtype).tobytes())
        self.rows += len(vectors)

    def _write_header(self) -> None:
        # numpy leaves room in the header for a first axis of any length, so writing it again never moves the data.
        shape = (self.rows, self._dim)
        npy.write_array_header_1_0(self._file, {"descr": self._dtype.str, "fortran_order": False, "shape": shape})

    def __enter__(self) -> VectorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(OSError):  # the disk may be full, and what is still buffered is not needed
                self._file.close()
            return
        with self._file:
            self._file.seek(0)
            self._write_header()
            assert self._file.tell() == self._start, "the header grew over the data"
