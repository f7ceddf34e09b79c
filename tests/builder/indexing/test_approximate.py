"""Searches of larger collections, whose indices approximate, against brute force: pages, depths and filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import builder.indexing.index_key
from promptsearch.encoding.encoders import unit
from promptsearch.engines.engine import Rows
from promptsearch.engines.faiss_index import EXACT
from promptsearch.filtering.filters import Filter
from promptsearch.search.collection import Collection
from promptsearch.search.options import Options
from promptsearch.search.ranking import MAX_PLACES, TIERS
from tests.support.vectors import Vectors, all_pages, build, nearest, random_vectors

pytestmark = pytest.mark.slow

COUNT, DIM = 13_000, 32
QUERIES = 40  # of each kind
KEYS = {"exact": "Flat", "lists": "IVF256,Flat", "codes": "OPQ4_32,IVF256,PQ4x8"}


@pytest.fixture(scope="module")
def everything() -> Vectors:
    return random_vectors(COUNT + QUERIES, DIM, clusters=300)


@pytest.fixture(scope="module")
def images(everything: Vectors) -> Vectors:
    return everything[:COUNT]


@pytest.fixture(scope="module")
def prompts(images: Vectors) -> Vectors:
    """Return vectors that are not of the images' distribution, as texts' vectors are not."""
    return unit(images[:2000] + random_vectors(1, DIM, seed=7)).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def queries(everything: Vectors, prompts: Vectors) -> dict[str, Vectors]:
    return {"images": unit(everything[COUNT:]), "texts": unit(prompts[:QUERIES])}


@pytest.fixture(scope="module", params=["exact", "lists", "codes"])
def collection(
    request: pytest.FixtureRequest, images: Vectors, prompts: Vectors, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collection]:
    """Yield a collection. The rule's limits are moved, so that few vectors are indexed as many are."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "exact":
            patch.setattr(builder.indexing.index_key, "EXACT_UP_TO", 2000)
        if request.param == "codes":
            patch.setattr(builder.indexing.index_key, "SMALLER_FROM", 2001)
        folder = build(
            tmp_path_factory.mktemp("indices") / request.param,
            images,
            prompts,
            describe=lambda number: ({"seed": number % 1000}, {"part": f"p{number % 2}"}),
            texts="prompt {} castle".format,
        )
    opened = Collection.open(folder)
    assert opened.manifest.images is not None
    assert opened.manifest.images.key == KEYS[request.param]
    assert opened.manifest.images.reached
    yield opened
    opened.close()


SEARCHES: dict[str, dict[str, Any]] = {
    "plain": {},
    "filtered": {"filter": Filter.parse({"part": "p1"})},
    "hybrid": {"mode": "hybrid"},
    "min_score": {"min_score": 0.1},
    "grouped": {"group_by": "prompt"},
    "folded": {"deduplicate": True},
    "sorted": {"sort": "-seed"},
    "diverse": {"diversity": 0.5},
}


@pytest.mark.parametrize("options", SEARCHES.values(), ids=SEARCHES)
def test_pages_are_one_ranking_in_parts(
    collection: Collection, queries: dict[str, Vectors], options: dict[str, Any]
) -> None:
    words = "castle" if options.get("mode") else None
    query = queries["texts"][0]
    whole = collection.search("images", query, MAX_PLACES, Options(**options), words=words)
    assert len(set(whole.rows)) == len(whole.rows)
    for limit in (137, 3_000):
        first = collection.search("images", query, limit, Options(**options), words=words)
        pages = all_pages(collection, first, limit)
        assert [row for page in pages for row in page.rows] == list(whole.rows)
        assert [score for page in pages for score in page.scores] == list(whole.scores)


def test_scores_are_exact_and_fall_within_each_depth(
    collection: Collection, images: Vectors, queries: dict[str, Vectors]
) -> None:
    for query in queries["texts"][:5]:
        page = collection.search("images", query, MAX_PLACES)
        assert len(page.rows) == MAX_PLACES
        scores = np.asarray(page.scores)
        np.testing.assert_allclose(scores, images[page.rows] @ query, atol=1e-3)
        assert scores.max() <= 1
        first = 0
        for _, places in TIERS:
            assert (np.diff(scores[first:places]) <= 0).all()
            first = places


FILTERS: dict[str, tuple[dict[str, Any], Callable[[Rows], NDArray[np.bool_]]]] = {
    "50 %": ({"part": "p1"}, lambda seeds: seeds % 2 == 1),
    "30 %": ({"seed": {"lt": 300}}, lambda seeds: seeds < 300),
    "1 %": ({"seed": {"lt": 10}}, lambda seeds: seeds < 10),
    "0.1 %": ({"seed": 7}, lambda seeds: seeds == 7),
}


@pytest.mark.parametrize("kind", ["images", "texts"])
@pytest.mark.parametrize("share", FILTERS)
def test_filtered_searches_find_the_nearest(
    collection: Collection, images: Vectors, queries: dict[str, Vectors], kind: str, share: str
) -> None:
    condition, meets = FILTERS[share]
    left = np.flatnonzero(meets(np.arange(COUNT) % 1000))
    selected = share in ("50 %", "30 %")
    assert (len(left) > EXACT) == selected  # else all that is left is scored
    hits = 0
    for query in queries[kind]:
        page = collection.search("images", query, 20, Options(filter=Filter.parse(condition)))
        assert len(page.rows) == min(20, len(left))
        assert set(page.rows) <= set(left.tolist())
        right = [int(left[place]) for place in nearest(images[left], query, 10)[0]]
        hits += len(set(page.rows[:10]) & set(right))
    info = collection.manifest.images
    assert info is not None
    assert hits / (10 * QUERIES) >= (0.98 if selected and not info.exact else 1.0)
