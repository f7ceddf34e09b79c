"""Write vectors to disk: a half-precision `.npy` that grows row by row and is valid once closed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class VectorFile:
    """Append-only float16 [rows, dim]. A file that was not closed has a header of zero rows, never a wrong one."""

    def __init__(self, path: Path, dim: int) -> None:
        self.rows = 0
        self._dim = dim
        self._file = path.open("wb")
        self._write_header()
        self._start = self._file.tell()

    def append(self, vectors: NDArray[np.float16] | NDArray[np.float32]) -> None:
        """Append float16 or float32 [n, dim] of unit length; float16 keeps a cosine to 1e-4."""
        self._file.write(np.ascontiguousarray(vectors, dtype="<f2").tobytes())
        self.rows += len(vectors)

    def _write_header(self) -> None:
        # numpy leaves room in the header for a first axis of any length, so writing it again never moves the data.
        shape = (self.rows, self._dim)
        npy.write_array_header_1_0(self._file, {"descr": "<f2", "fortran_order": False, "shape": shape})

    def __enter__(self) -> VectorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.seek(0)
            self._write_header()
            assert self._file.tell() == self._start, "the header grew over the data"
        self._file.close()
