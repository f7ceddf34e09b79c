from __future__ import annotations

import numpy as np
import pytest

from promptsearch.encoding.encoders import unit
from promptsearch.search.diversity import ALIKE, deduplicate, first_of_components, mmr
from tests.support.vectors import Vectors, random_vectors


def joined(vectors: Vectors) -> list[int]:
    """Return the first of each group of similar vectors, compared pair by pair."""
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


@pytest.mark.parametrize("count", [0, 1, 7, 200])
@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0])
def test_each_vector_is_represented_by_the_first_kept_one_alike_to_it(count: int, spread: float) -> None:
    random = np.random.default_rng(count)
    noise = random.standard_normal((count, 8)).astype(np.float32)
    vectors = unit(random_vectors(10, 8)[random.integers(10, size=count)] + spread / 3 * noise)
    kept: list[int] = []
    expected = []
    for place in range(count):
        alike = [earlier for earlier in kept if vectors[earlier] @ vectors[place] > ALIKE]
        kept += [] if alike else [place]
        expected.append(alike[0] if alike else place)
    assert deduplicate(vectors).tolist() == expected


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.7, 1.0])
def test_order_is_that_of_maximal_marginal_relevance(diversity: float) -> None:
    """By definition, the next is the best by its score less its likeness to those before it, both in 0..1."""
    vectors = random_vectors(30, 8)
    scores = np.sort(vectors @ random_vectors(1, 8)[0])[::-1].copy()
    cosines = vectors @ vectors.T
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    alike = (cosines - cosines.min()) / (cosines.max() - cosines.min())
    order: list[int] = []
    while len(order) < len(vectors):
        gains = {
            place: (1 - diversity) * relevance[place]
            - diversity * max([alike[place][taken] for taken in order], default=0)
            for place in range(len(vectors))
            if place not in order
        }
        order.append(max(gains, key=lambda place: (round(float(gains[place]), 6), -place)))
    assert mmr(vectors, scores, diversity).tolist() == order
