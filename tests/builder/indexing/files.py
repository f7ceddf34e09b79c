"""Files of vectors and small compressed indices for the tests of indices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from builder.indexing.index_key import IndexSpec, specs
from tests.support.vectors import Vectors


def written(folder: Path, vectors: Vectors, kind: str = "images") -> Path:
    """Write vectors, float32 [n, dim], as the builder does; return the file's path."""
    path = folder / f"{kind}.f16.npy"
    np.save(path, vectors.astype(np.float16))
    return path


def compressed(count: int, dim: int, code: int) -> IndexSpec:
    """Return the first index with codes of `code` bytes; so few vectors get one only if memory is very short."""
    return next(spec for spec in specs(count, dim) if spec.code == code)
