"""What the builder records of an index is what brute force measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import builder.index
from builder.index import index
from builder.publish import publish
from promptsearch.collection import Collection
from promptsearch.encoders import unit
from promptsearch.errors import BuildError
from promptsearch.manifest import current_version
from tests.vectors import Vectors, build, nearest, random_vectors, stage

COUNT, DIM = 5000, 32


@pytest.fixture(scope="module")
def images() -> Vectors:
    return random_vectors(COUNT, DIM, clusters=60)


@pytest.fixture(scope="module")
def prompts(images: Vectors) -> Vectors:
    """Not of the images' distribution, as texts' vectors are not."""
    shifted = images[:300] + random_vectors(1, DIM, seed=7)
    return unit(shifted).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def collection(images: Vectors, prompts: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Images above the limit for an exact index, prompts below it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder.index, "EXACT_UP_TO", 2000)
        return Collection.open(build(tmp_path_factory.mktemp("indices") / "large", images, prompts))


def test_many_vectors_get_inverted_lists_and_few_an_exact_scan(collection: Collection) -> None:
    images, prompts = collection.manifest.images, collection.manifest.prompts
    assert images is not None
    assert prompts is not None
    assert (images.key, images.exact, images.vectors) == ("IVF256,Flat", False, COUNT)
    assert (prompts.key, prompts.exact, prompts.vectors, prompts.nprobe) == ("Flat", True, 300, None)
    assert prompts.recall_at_10 == {"images": 1.0, "texts": 1.0}
    assert "index" in collection.manifest.build["seconds"]


@pytest.mark.parametrize("name", ["images", "texts"])
def test_recall_is_recorded_as_it_is_and_reaches_its_target(
    collection: Collection, images: Vectors, prompts: Vectors, name: str
) -> None:
    info = collection.manifest.images
    assert info is not None
    of_kind = images if name == "images" else prompts
    # The same seeded sample; the search itself and the truth are measured anew.
    rows = np.sort(np.random.default_rng(0).choice(len(of_kind), size=256, replace=False))
    hits = 0
    for query in of_kind[rows]:
        found = set(collection.search("images", query, 10).rows)
        hits += len(found & set(nearest(images, query / np.linalg.norm(query), 10)[0]))
    assert info.recall_at_10[name] == pytest.approx(hits / 2560, abs=0.002)  # equal scores may be other rows
    assert info.recall_at_10[name] >= builder.index.RECALL_TARGET


def test_no_more_lists_are_probed_than_the_target_needs(
    collection: Collection, images: Vectors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = collection.manifest.images
    assert info is not None
    assert info.nprobe is not None
    assert 1 <= info.nprobe < 256
    monkeypatch.setattr(builder.index, "EXACT_UP_TO", 2000)
    monkeypatch.setattr(builder.index, "RECALL_TARGET", 0.3)
    less = Collection.open(build(tmp_path / "less", images, None)).manifest.images
    assert less is not None
    assert (less.nprobe or 0) < info.nprobe
    assert less.recall_at_10["images"] < info.recall_at_10["images"]


def test_what_is_found_has_its_true_score(collection: Collection, images: Vectors) -> None:
    for query in random_vectors(5, DIM, seed=3):
        page = collection.search("images", query, 50)
        np.testing.assert_allclose(page.scores, images[page.rows] @ (query / np.linalg.norm(query)), atol=1e-6)


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
        "images.f16.npy", "images.faiss", "items.sqlite", "manifest.json", "prompts.f16.npy", "prompts.faiss",
        "quarantine.csv", "thumbnails.sqlite",
    ]  # fmt: skip


def test_an_exact_index_of_a_version_can_be_made_again(tmp_path: Path) -> None:
    vectors = random_vectors(20, 4)
    stage(tmp_path / "twice", None, vectors)
    assert index(tmp_path / "twice").prompts == index(tmp_path / "twice").prompts
    assert publish(tmp_path / "twice").images is None


def test_there_is_nothing_to_index_before_embedding(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing is staged for none: run `python -m builder embed` first"):
        index(tmp_path / "none")
