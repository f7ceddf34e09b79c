"""The vector of a query from its answer: each result's cosine with a known vector is an equation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EQUATIONS = 1.9  # for each dimension, at least; they are exact except for rounding


def solve(stored: NDArray[np.float16], rows: Sequence[int], cosines: Sequence[float]) -> NDArray[np.float64]:
    """Return the vector, float64 [dim], whose products with these rows of `stored`, float16 [n, dim], are `cosines`."""
    assert len(rows) >= EQUATIONS * stored.shape[1], f"only {len(rows)} results"
    vector: NDArray[np.float64] = np.linalg.lstsq(stored[rows].astype(np.float64), np.array(cosines))[0]
    return vector
