"""Near-duplicates among results, and an order that prefers results unlike those before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.94  # cosine above which two vectors count as the same picture or prompt; clip-retrieval's threshold
_BLOCK = 512  # rows compared with all others in one matrix product


def deduplicate(vectors: NDArray[np.float32], alike: float = ALIKE) -> NDArray[np.int64]:
    """Return, for each unit vector, the place of the vector that represents it, int64 [n].

    `vectors`: best first, float32 [n, d]. A vector that represents itself is kept; no two kept vectors have a cosine
    above `alike`.
    """
    near = vectors @ vectors.T > alike
    representative = np.full(len(vectors), -1, dtype=np.int64)
    for place in range(len(vectors)):
        if representative[place] < 0:
            representative[place] = place
            representative[near[place] & (representative < 0)] = place  # the rest comes behind this place
    return representative


def first_of_components(vectors: NDArray[np.float32], alike: float = ALIKE) -> NDArray[np.bool_]:
    """Return which unit vectors are the first of their connected component, bool [n].

    `vectors`: best first, float32 [n, d]. Unlike `deduplicate`, a component also contains vectors that are alike to any
    of its members only, as in clip-retrieval's de-duplication.
    """
    count = len(vectors)
    first = np.ones(count, dtype=bool)
    near = np.zeros((count, (count + 7) // 8), dtype=np.uint8)  # one bit a pair
    for start in range(0, count, _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors.T > alike
        near[start : start + _BLOCK] = np.packbits(block, axis=1)
        first[start : start + _BLOCK] = np.count_nonzero(block, axis=1) <= 1  # alike to itself only
    left = np.packbits(np.ones(count, dtype=bool))
    for place in np.flatnonzero(~first):
        if left[place // 8] >> (7 - place % 8) & 1:
            first[place] = True
            reached: list[int] = [int(place)]
            while reached:
                new = near[reached.pop()] & left
                if new.any():
                    left &= ~new
                    reached += np.flatnonzero(np.unpackbits(new)).tolist()
    return first


def mmr(vectors: NDArray[np.float32], scores: NDArray[np.float32], diversity: float) -> NDArray[np.int64]:
    """Return the order of unit vectors by maximal marginal relevance (Carbonell and Goldstein 1998), int64 [n].

    `vectors`: float32 [n, d]; `scores`: cosines with the query, best first; `diversity`: 0..1. Cosines between texts
    and pictures are far lower than those between pictures, so both are scaled to 0..1 before they are compared.
    """
    relevance = _rescale(scores)
    alike = _rescale(vectors @ vectors.T)
    order = np.empty(len(vectors), dtype=np.int64)
    nearest = np.zeros(len(vectors), dtype=np.float32)  # similarity to the nearest vector taken before
    left = np.ones(len(vectors), dtype=bool)
    for place in range(len(vectors)):
        gain = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        order[place] = best = int(np.argmax(gain))
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return order


def _rescale(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values scaled to 0..1."""
    least = values.min(initial=np.inf)
    scaled: NDArray[np.float32] = (values - least) / max(values.max(initial=-np.inf) - least, np.float32(1e-6))
    return scaled
