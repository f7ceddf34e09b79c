from __future__ import annotations

import numpy as np
import pytest

from promptsearch.encoding.encoders import unit
from promptsearch.search.diversity import ALIKE, first_of_components
from tests.support.vectors import Vectors, random_vectors


def joined(vectors: Vectors) -> list[int]:
    """The first of each group of what is alike, pair by pair."""
    group = list(range(len(vectors)))
    for a in range(len(vectors)):
        for b in range(a):
            if vectors[a] @ vectors[b] > ALIKE:
                old, new = max(group[a], group[b]), min(group[a], group[b])
                group = [new if member == old else member for member in group]
    return [place for place in range(len(vectors)) if group[place] == place]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 600])
@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0])
def test_components_equal_union_of_similar_pairs(count: int, spread: float) -> None:
    random = np.random.default_rng(count)
    centres = random_vectors(40, 8)
    noise = random.standard_normal((count, 8)).astype(np.float32)
    vectors = unit(centres[random.integers(40, size=count)] + spread / 3 * noise)
    assert np.flatnonzero(first_of_components(vectors)).tolist() == joined(vectors)


def test_chain_of_similar_vectors_is_one_component() -> None:
    angles = np.arange(40) * 0.3  # each is alike to its neighbours alone
    vectors = np.stack([np.cos(angles[:10]), np.sin(angles[:10])], axis=1).astype(np.float32)
    assert np.flatnonzero(first_of_components(vectors)).tolist() == [0]
    assert np.flatnonzero(first_of_components(vectors[::2])).tolist() == list(range(5))
