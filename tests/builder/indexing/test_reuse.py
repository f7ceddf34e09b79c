"""An index whose training is kept finds what one that is trained anew finds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import builder.indexing.index_key
from builder.indexing.index import index
from builder.indexing.reuse import MOST_CHANGED
from builder.versions.publish import publish
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import IndexInfo
from tests.support.vectors import Vectors, build, nearest, random_vectors, stage

pytestmark = pytest.mark.slow

DIM = 32
KEYS = {"lists": "IVF64,Flat", "codes": "OPQ4_32,IVF256,PQ4x8"}


@pytest.fixture(params=["lists", pytest.param("codes", marks=pytest.mark.long)])
def vectors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    """Return enough vectors for an index of inverted lists, or of codes, and a tenth more."""
    monkeypatch.setattr(builder.indexing.index_key, "EXACT_UP_TO", 2000)
    monkeypatch.setattr(builder.indexing.index_key, "SMALLER_FROM", 10_000)
    return random_vectors(4_400 if request.param == "lists" else 11_500, DIM, clusters=100)


def reindexed(collection: Path, vectors: Vectors) -> IndexInfo:
    stage(collection, vectors, None)
    info = index(collection, reuse=True).images
    assert info is not None
    return info


def recall(collection: Path, vectors: Vectors) -> float:
    """Return how many of the ten nearest of some of the vectors are found."""
    rows, hits = range(0, len(vectors), 100), 0
    with closing(Collection.open(collection)) as opened:
        for row in rows:
            worst = nearest(vectors, vectors[row], 10)[1][-1]
            scores = opened.search("images", vectors[row], 10).scores
            hits += sum(score is not None and score >= worst - 1e-6 for score in scores)
    return hits / (10 * len(rows))


def test_few_changes_keep_the_training_and_the_recall(vectors: Vectors, tmp_path: Path) -> None:
    first, collection = len(vectors) * 10 // 11, tmp_path / "c"
    build(collection, vectors[:first], None)
    with closing(Collection.open(collection)) as opened:
        before = opened.manifest.images
    assert before is not None
    assert before.key in KEYS.values()
    changed = vectors[50:]  # some have left, others have come
    assert reindexed(collection, changed) == IndexInfo(**{**vars(before), "vectors": len(changed)})
    assert publish(collection).build["trained"] == {"images": first}
    kept = recall(collection, changed)
    build(collection, changed, None)
    assert kept >= recall(collection, changed) - 0.02


def test_many_changes_train_anew(vectors: Vectors, tmp_path: Path) -> None:
    collection, first = tmp_path / "c", int(len(vectors) / (1 + MOST_CHANGED)) - 100
    build(collection, vectors[:first], None)
    reindexed(collection, vectors)
    assert publish(collection).build["trained"] == {"images": len(vectors)}
