"""Less of the same among the best results: near-duplicates folded, and an order that prefers what is new."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.94  # cosine above which two vectors are taken for the same picture or prompt
_BLOCK = 512  # rows that are compared with all others at once


def deduplicate(vectors: NDArray[np.float32], alike: float = ALIKE) -> NDArray[np.int64]:
    """For each unit vector, best first, float32 [n, d], the place of the first one that it is folded into.

    A place of its own means that it stays: no two that stay are more than `alike`.
    """
    near = vectors @ vectors.T > alike
    into = np.full(len(vectors), -1, dtype=np.int64)
    for place in range(len(vectors)):
        if into[place] < 0:
            into[place] = place
            into[near[place] & (into < 0)] = place  # all that are left stand behind it
    return into


def first_of_components(vectors: NDArray[np.float32], alike: float = ALIKE) -> NDArray[np.bool_]:
    """Of unit vectors, best first, float32 [n, d], which are the first of their group, bool [n].

    Unlike `folded`, a group also holds what is alike to any of its members (clip-retrieval's de-duplication).
    """
    count = len(vectors)
    first = np.ones(count, dtype=bool)
    near = np.zeros((count, (count + 7) // 8), dtype=np.uint8)  # a bit for each pair
    for start in range(0, count, _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors.T > alike
        near[start : start + _BLOCK] = np.packbits(block, axis=1)
        first[start : start + _BLOCK] = np.count_nonzero(block, axis=1) <= 1  # alike to itself alone
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
    """The order of maximal marginal relevance (Carbonell and Goldstein 1998) of unit vectors, float32 [n, d].

    `scores`, best first, are cosines with the query. Texts have far lower ones with pictures than pictures among
    themselves, so both kinds are measured on a scale of their own: from the worst to the best that is given here.
    """
    relevance = _scaled(scores)
    alike = _scaled(vectors @ vectors.T)
    order = np.empty(len(vectors), dtype=np.int64)
    nearest = np.zeros(len(vectors), dtype=np.float32)  # to any that has been taken
    left = np.ones(len(vectors), dtype=bool)
    for place in range(len(vectors)):
        gain = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        order[place] = taken = int(np.argmax(gain))
        left[taken] = False
        nearest = np.maximum(nearest, alike[taken])
    return order


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 0..1."""
    least = values.min(initial=np.inf)
    scaled: NDArray[np.float32] = (values - least) / max(values.max(initial=-np.inf) - least, np.float32(1e-6))
    return scaled
