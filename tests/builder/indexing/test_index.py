"""The recorded recall of an index is the one that brute force measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import builder.indexing.index_key
from builder.indexing.index import index
from builder.versions.publish import publish
from promptsearch.encoding.encoders import unit
from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.errors import BuildError
from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import current_version
from tests.support.vectors import Vectors, build, nearest, random_vectors, scores_of, stage

COUNT, DIM = 5000, 32


@pytest.fixture(scope="module")
def images() -> Vectors:
    return random_vectors(COUNT, DIM, clusters=60)


@pytest.fixture(scope="module")
def prompts(images: Vectors) -> Vectors:
    """Return vectors that are not of the images' distribution, as texts' vectors are not."""
    shifted = images[:300] + random_vectors(1, DIM, seed=7)
    return unit(shifted).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def collection(images: Vectors, prompts: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Return a collection with images above the limit for an exact index, and prompts below it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder.indexing.index_key, "EXACT_UP_TO", 2000)
        return Collection.open(build(tmp_path_factory.mktemp("indices") / "large", images, prompts))


def test_many_vectors_get_inverted_lists_and_few_an_exact_scan(collection: Collection) -> None:
    images, prompts = collection.manifest.images, collection.manifest.prompts
    assert images is not None
    assert prompts is not None
    assert (images.key, images.exact, images.vectors) == ("IVF64,Flat", False, COUNT)
    assert (prompts.key, prompts.exact, prompts.vectors, prompts.nprobe) == ("Flat", True, 300, None)
    assert prompts.recall_at_10 == {"images": 1.0, "texts": 1.0}
    assert images.recall_target == prompts.recall_target == 0.98
    assert "index" in collection.manifest.build["seconds"]


@pytest.mark.parametrize("name", ["images", "texts"])
def test_recorded_recall_is_correct_and_reaches_its_target(
    collection: Collection, images: Vectors, prompts: Vectors, name: str
) -> None:
    info = collection.manifest.images
    assert info is not None
    assert info.reached
    of_kind = images if name == "images" else prompts
    # The same seeded queries, those that were not tuned with; the search itself and the truth are measured anew.
    rows = np.random.default_rng(2).choice(len(of_kind), min(1024, len(of_kind)), replace=False)[1::2]
    hits = 0
    for row in rows:
        own = row if name == "images" else -1
        nearest_rows = [other for other in collection.search("images", of_kind[row], 11).rows if other != own][:10]
        right = [other for other in nearest(images, unit(of_kind[row]), 11)[0] if other != own][:10]
        hits += len(set(nearest_rows) & set(right))
    # Other rows may have equal scores; a search that goes deeper than ten looks into more lists, too.
    assert 0.98 <= info.recall_at_10[name] <= hits / (10 * len(rows)) + 0.002


def test_no_more_lists_are_probed_than_the_target_needs(
    collection: Collection, images: Vectors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = collection.manifest.images
    assert info is not None
    assert info.nprobe is not None
    assert 1 < info.nprobe < 64
    monkeypatch.setattr(builder.indexing.index_key, "EXACT_UP_TO", 2000)
    stage(tmp_path / "less", images, None)
    less = index(tmp_path / "less", recall=0.3).images
    assert less is not None
    assert less.recall_target == 0.3
    assert less.recall_at_10["images"] < info.recall_at_10["images"]
    assert (less.nprobe or 0) < info.nprobe


def test_deep_searches_look_into_as_many_lists_as_they_need(collection: Collection) -> None:
    index = collection.index("images")
    assert isinstance(index, VectorIndex)
    for query in unit(random_vectors(5, DIM, seed=4)):
        rows, _ = index.search(query, COUNT)
        assert sorted(rows) == list(range(COUNT))


def test_too_little_memory_is_an_error_with_the_least(tmp_path: Path) -> None:
    stage(tmp_path / "c", random_vectors(20, 4), None)
    with pytest.raises(BuildError, match=r"cannot be indexed in 1\.0 MB: allow at least --max-memory 97M"):
        index(tmp_path / "c", max_memory=2**20)
    assert index(tmp_path / "c", max_memory=97 * 2**20).images is not None


def test_index_falls_back_to_vectors_if_codes_miss_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder.indexing.index_key, "EXACT_UP_TO", 2000)
    monkeypatch.setattr(builder.indexing.index_key, "SMALLER_FROM", 10_000)
    stage(tmp_path / "c", random_vectors(10_000, 32), None)
    codes = "OPQ4_32,IVF128,PQ4x8"
    missed = index(tmp_path / "c", recall=0.9999, key=codes).images
    assert missed is not None
    assert (missed.key, missed.reached) == (codes, False)
    with pytest.raises(BuildError, match=rf"the index of images, {codes}, has a recall@10 of .*expected 0\.9999"):
        index(tmp_path / "c", recall=0.9999, key=codes, require_recall=True)
    reached = index(tmp_path / "c", recall=0.9999, require_recall=True).images
    assert reached is not None
    assert (reached.key, reached.reached) == ("IVF128,Flat", True)


def test_results_have_exact_scores(collection: Collection, images: Vectors) -> None:
    for query in random_vectors(5, DIM, seed=3):
        page = collection.search("images", query, 50)
        np.testing.assert_allclose(scores_of(page), images[page.rows] @ (query / np.linalg.norm(query)), atol=1e-6)


def test_an_approximate_index_is_mapped_not_read(collection: Collection) -> None:
    assert str(collection.folder / "images.faiss") in Path("/proc/self/maps").read_text()
    assert collection.search("images", random_vectors(1, DIM)[0], 1).rows  # and so still open


@pytest.mark.parametrize("count", [1, 2, 11])
def test_the_smallest_collections_are_indexed(tmp_path: Path, count: int) -> None:
    vectors = random_vectors(count, 4)
    folder = build(tmp_path / "[small] ?*", vectors, vectors)  # not a name that a glob pattern would find
    info = Collection.open(folder).manifest.images
    assert info is not None
    assert (info.vectors, info.recall_at_10) == (count, {"images": 1.0, "texts": 1.0})
    assert sorted(path.name for path in current_version(folder).iterdir()) == [
        *(f"field-{number}.npy" for number in range(6)), "fields.sqlite", "images.f16.npy", "images.faiss",
        "items.sqlite", "manifest.json", "pictures.digest.npy", "prompts.f16.npy", "prompts.faiss", "quarantine.csv",
        "thumbnails.sqlite",
        "words.sqlite",
    ]  # fmt: skip


def test_an_exact_index_of_a_version_can_be_made_again(tmp_path: Path) -> None:
    vectors = random_vectors(20, 4)
    stage(tmp_path / "twice", None, vectors)
    assert index(tmp_path / "twice").prompts == index(tmp_path / "twice").prompts
    assert publish(tmp_path / "twice").images is None


def test_there_is_nothing_to_index_before_embedding(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing is staged for none: run `python -m builder embed` first"):
        index(tmp_path / "none")
