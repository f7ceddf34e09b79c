"""Versions published to Milvus: complete, resumable, measured, and removable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import builder.milvus.filling
from builder.indexing.index import index
from builder.milvus.entities import Entities
from builder.milvus.publish import publish_to_milvus
from builder.versions.hide import hide
from builder.versions.publish import publish
from builder.versions.report import describe_version
from builder.versions.verify import verify
from builder.versions.versions import delete_version, versions
from promptsearch.engines.milvus.connection import Connection
from promptsearch.errors import BuildError, CollectionError, NotReady
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import Takedown
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Manifest, current_version
from tests.support.calls import watched
from tests.support.vectors import Vectors, build, nearest, random_vectors, stage

pytestmark = pytest.mark.milvus

IMAGES, PROMPTS, DIM = 400, 150, 16
NEVER = "http://127.0.0.1:9"  # where nothing listens


@pytest.fixture(scope="module")
def images() -> Vectors:
    return random_vectors(IMAGES, DIM, clusters=30)


@pytest.fixture(scope="module")
def prompts() -> Vectors:
    return random_vectors(PROMPTS, DIM, seed=1)


@pytest.fixture
def collection(images: Vectors, prompts: Vectors, tmp_path: Path) -> Path:
    return build(tmp_path / "indices" / "c", images, prompts, without_vector=2, describe=described)


def described(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    graph = {"nodes": [f"node {part} of {number}" for part in range(200)]}  # as ComfyUI writes them
    return {"steps": number % 50}, {"note": f"note {number}", "workflow": graph}


@contextmanager
def connected(collection: Path) -> Iterator[tuple[Connection, list[str]]]:
    """Yield a connection to the Milvus of the tests' collection, and the names of its collections."""
    connection = Connection(str(collection.with_suffix(".db")))
    yield connection, connection.client.list_collections()
    connection.close()


def publish_here(collection: Path, **options: int) -> Manifest:
    return publish_to_milvus(collection, str(collection.with_suffix(".db")), **options)


def test_a_published_version_is_complete_and_names_its_address(collection: Path) -> None:
    before = Manifest.read(current_version(collection))
    published = publish_here(collection)
    assert published.milvus is not None
    assert published.version > before.version
    assert (published.counts, published.model) == (before.counts, before.model)
    assert current_version(collection).name == published.version
    assert set(published.files) == {"fields.json", "pictures.digest.npy", "thumbnails.sqlite", "quarantine.csv"}
    for info in (published.images, published.prompts):
        assert info is not None
        assert info.recall_at_10 == {"images": 1.0, "texts": 1.0}
    assert verify(collection) == published
    assert f"held by Milvus at {published.milvus.address}" in "\n".join(describe_version(collection))
    assert [version.name for version in versions(collection)] == [before.version, published.version]
    with connected(collection) as (connection, _):
        alias = connection.client.describe_alias("prompt_search_c_images")
        assert alias["collection_name"] == published.milvus.images


def test_an_interrupted_run_resumes(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder.milvus.filling, "_BATCH", 100)
    with watched(Entities.rows, interrupt_at=4), pytest.raises(KeyboardInterrupt):
        publish_here(collection)
    assert Manifest.read(current_version(collection)).milvus is None
    with watched(Entities.rows) as calls:
        publish_here(collection)
    assert len(calls) == 5 + 2 - 3  # batches of images and of prompts, but nothing twice
    assert verify(collection).counts["images"] == IMAGES + 2


def test_a_graph_finds_the_results_of_an_exact_scan(
    collection: Path, images: Vectors, prompts: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder.milvus.filling, "_EXACT_UP_TO", 100)
    published = publish_here(collection)
    assert published.images is not None
    assert published.images.key == "Milvus HNSW"
    assert min(published.images.recall_at_10.values()) >= 0.98
    opened = Collection.open(collection)
    queries = [*prompts[:50], *random_vectors(50, DIM, seed=5, clusters=30)]
    approximate = [set(opened.search("images", query, 10).rows) for query in queries]
    right = [set(nearest(images, query, 10)[0]) for query in queries]
    opened.close()
    assert np.mean([len(rows & other) / 10 for rows, other in zip(approximate, right, strict=True)]) >= 0.98


def test_everything_that_is_known_of_an_item_is_there(collection: Path) -> None:
    before = Collection.open(collection)
    publish_here(collection)
    after = Collection.open(collection)
    rows = [0, 5, IMAGES - 1, IMAGES + 1]
    assert after.items.images(rows) == before.items.images(rows)
    assert after.items.prompts([0, PROMPTS - 1]) == before.items.prompts([0, PROMPTS - 1])
    assert after.items.images_of([0, PROMPTS - 1], 4) == before.items.images_of([0, PROMPTS - 1], 4)
    assert list(after.fields) == [type(field)(**json.loads(json.dumps(field.__dict__))) for field in before.fields]
    assert [after.thumbnails and after.thumbnails.get(row) for row in rows] == [
        before.thumbnails and before.thumbnails.get(row) for row in rows
    ]
    np.testing.assert_array_equal(after.vector("images", 7), before.vector("images", 7))
    for opened in (before, after):
        opened.close()


def test_takedowns_are_checked_and_applied(collection: Path) -> None:
    publish_here(collection)
    id = item_id("image", "3.png")
    with pytest.raises(BuildError, match="unknown ids in c: nowhere"):
        hide(collection, [id, "nowhere"])
    assert [item.id for item in hide(collection, [id])] == [id]
    opened = Collection.open(collection)
    assert opened.items.images([3, 4]).keys() == {4}
    digest = opened.pictures.digests([id])[id]
    opened.close()
    # The picture under another id, as after its file was renamed.
    (collection / "hidden").write_text(f"{Takedown(item_id('image', 'before.png'), digest)}\n")
    opened = Collection.open(collection)
    assert opened.items.images([3, 4]).keys() == {4}
    opened.close()


def test_old_versions_leave_milvus_with_their_files(collection: Path, images: Vectors, prompts: Vectors) -> None:
    first = publish_here(collection)
    stage(collection, images, prompts)
    index(collection)
    publish(collection, keep=1)
    second = publish_here(collection, keep=2)
    assert first.milvus is not None
    assert second.milvus is not None
    with connected(collection) as (_, held):
        assert {first.milvus.images, second.milvus.images} <= set(held)
    delete_version(collection, first.version)
    with connected(collection) as (connection, held):
        assert set(held) == {second.milvus.images, second.milvus.prompts}
        assert connection.client.describe_alias("prompt_search_c_prompts")["collection_name"] == second.milvus.prompts


@pytest.mark.parametrize("way", ["gone", "fewer"])
def test_losses_of_milvus_are_reported(collection: Path, way: str) -> None:
    published = publish_here(collection)
    assert published.milvus is not None
    with connected(collection) as (connection, _):
        if way == "gone":
            connection.client.drop_alias("prompt_search_c_images")
            connection.client.drop_collection(published.milvus.images)
        else:
            connection.client.delete(published.milvus.images, filter="row in [5, 6]")
    with pytest.raises(CollectionError, match="has no collection" if way == "gone" else "has 400 images, expected 402"):
        Collection.open(collection)
    with pytest.raises(CollectionError, match="publish it there again"):
        verify(collection)


def test_a_collection_in_milvus_is_not_published_again(collection: Path) -> None:
    publish_here(collection)
    with pytest.raises(BuildError, match="is held by Milvus already"):
        publish_here(collection)


def test_items_too_large_for_milvus_are_named_and_prevent_publication(images: Vectors, tmp_path: Path) -> None:
    folder = build(
        tmp_path / "indices" / "c",
        images[:5],
        None,
        describe=lambda number: ({}, {"note": "x" * (70_000 * (number == 3))}),
    )
    with pytest.raises(BuildError, match=rf"image {item_id('image', '3.png')} \(3\.png\) has a text of 70,000 bytes"):
        publish_here(folder)
    assert Manifest.read(current_version(folder)).milvus is None


def test_a_collection_of_prompts_alone_is_held_too(prompts: Vectors, tmp_path: Path) -> None:
    folder = build(tmp_path / "indices" / "c", None, prompts)
    publish_here(folder)
    opened = Collection.open(folder)
    assert opened.kinds == ("prompts",)
    assert opened.search("prompts", prompts[4], 1).rows == [4]
    opened.close()
    verify(folder)


def test_an_unreachable_milvus_keeps_the_old_version(collection: Path) -> None:
    before = current_version(collection)
    with pytest.raises(NotReady, match=f"Milvus at {NEVER} did not answer"):
        publish_to_milvus(collection, NEVER)
    assert current_version(collection) == before
