"""A collection against brute force over the vectors that it was built from."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import CollectionError, CursorError, CursorGone, ModelMismatch, NoVectors, UnknownItem
from promptsearch.search.collection import Collection, Page
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Search
from promptsearch.search.ranking import MAX_PLACES
from promptsearch.search.terms import Term
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Kind
from tests.support.vectors import Vectors, all_pages, build, nearest, random_vectors, scores_of

IMAGES, PROMPTS, DIM = 151, 60, 16


@pytest.fixture(scope="module")
def images() -> Vectors:
    """Return vectors, some of which occur four times."""
    vectors = random_vectors(IMAGES, DIM)
    vectors[40:80] = np.tile(vectors[:10], (4, 1))
    return vectors


@pytest.fixture(scope="module")
def prompts() -> Vectors:
    return random_vectors(PROMPTS, DIM, seed=1)


@pytest.fixture(scope="module")
def folder(images: Vectors, prompts: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("indices") / "small", images, prompts, without_vector=2)


@pytest.fixture(scope="module")
def collection(folder: Path) -> Iterator[Collection]:
    collection = Collection.open(folder)
    yield collection
    collection.close()


def similar(collection: Collection, kind: Kind, row: int, limit: int) -> Page:
    item = collection.items.images([row])[row] if kind == "images" else collection.items.prompts([row])[row]
    return collection.page(collection.begin(kind, [Term(id=item.id)], [None]), limit)


@pytest.mark.parametrize("kind", ["images", "prompts"])
def test_search_equals_brute_force(collection: Collection, images: Vectors, prompts: Vectors, kind: Kind) -> None:
    vectors = images if kind == "images" else prompts
    for query in (*random_vectors(10, DIM, seed=5), *vectors[:12]):
        page = collection.search(kind, 3 * query, 25)  # a query may have any length
        rows, scores = nearest(vectors, query / np.linalg.norm(query), 25)
        np.testing.assert_allclose(scores_of(page), np.asarray(scores), atol=1e-6)
        assert [vectors[row].tolist() for row in page.rows] == [vectors[row].tolist() for row in rows]


def test_equal_vectors_come_in_the_order_of_their_rows(collection: Collection, images: Vectors) -> None:
    page = collection.search("images", images[3], 5)
    assert page.rows == [3, 43, 53, 63, 73]
    assert len(set(page.scores)) == 1


@settings(max_examples=40)
@given(seed=st.integers(0, 20), limit=st.integers(1, IMAGES + 5), kind=st.sampled_from(["images", "prompts"]))
def test_pages_are_parts_of_one_large_page(collection: Collection, seed: int, limit: int, kind: Kind) -> None:
    query = random_vectors(1, DIM, seed=seed)[0]
    whole = collection.search(kind, query, 1000)
    pages = all_pages(collection, collection.search(kind, query, limit), limit)
    assert whole.next is None
    assert [row for page in pages for row in page.rows] == list(whole.rows)
    assert [score for page in pages for score in page.scores] == list(whole.scores)
    assert sorted(whole.rows) == list(range(IMAGES if kind == "images" else PROMPTS))
    assert all(page.rows for page in pages)


def test_similar_items_exclude_the_item_itself(collection: Collection, images: Vectors) -> None:
    page = similar(collection, "images", 43, 4)
    assert page.rows[:4] == [3, 53, 63, 73]
    pages = all_pages(collection, page, 4)
    rows = [row for page in pages for row in page.rows]
    assert sorted(rows) == [row for row in range(IMAGES) if row != 43]
    expected = [row for row in nearest(images, images[43], IMAGES)[0] if row != 43]
    assert [images[row].tolist() for row in rows] == [images[row].tolist() for row in expected]


def test_item_without_vector_cannot_be_searched_with(collection: Collection) -> None:
    with pytest.raises(NoVectors, match="this item has no vector"):
        similar(collection, "images", IMAGES, 10)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("deep") / "deep", random_vectors(MAX_PLACES + 50, 4), None)


def test_pages_end_at_ten_thousand_places(deep: Path) -> None:
    vectors = random_vectors(MAX_PLACES + 50, 4)
    collection = Collection.open(deep)
    pages = all_pages(collection, collection.search("images", vectors[0], 300), 300)
    assert [len(page.rows) for page in pages] == [*[300] * 33, 100]
    assert [row for page in pages for row in page.rows] == nearest(vectors, vectors[0], MAX_PLACES)[0]
    with pytest.raises(NoVectors, match="has no vectors of prompts: search its images instead") as caught:
        collection.search("prompts", vectors[0], 10)
    assert caught.value.slug == "no-prompt-index"


@pytest.mark.parametrize("limit", [1, 4, 150])
def test_hidden_items_leave_no_gaps(collection: Collection, images: Vectors, limit: int) -> None:
    gone = {3, 43, 100, *range(20)}
    visible = collection.with_hidden({image.id for image in collection.items.images(sorted(gone)).values()})
    whole = [row for row in collection.search("images", images[3], 1000).rows if row not in gone]
    pages = all_pages(visible, visible.search("images", images[3], limit), limit)
    assert [row for page in pages for row in page.rows] == whole
    assert all(len(page.rows) == limit for page in pages[:-1])
    assert pages[-1].rows
    assert [row for page in all_pages(visible, similar(visible, "images", 53, limit), limit) for row in page.rows] == [
        row for row in similar(collection, "images", 53, 1000).rows if row not in gone
    ]
    with pytest.raises(UnknownItem):
        visible.items.image(item_id("image", "3.png"))
    # The images of prompt 59 are those from 59 on.
    assert visible.items.prompts([59])[59].image_count == collection.items.prompts([59])[59].image_count - 1
    assert collection.items.image(item_id("image", "3.png")).row == 3  # the other still has it


def test_hiding_between_two_pages_moves_nothing_else(collection: Collection, images: Vectors) -> None:
    whole = collection.search("images", images[7], 1000).rows
    first = collection.search("images", images[7], 10)
    assert first.next is not None
    for rows in (whole[:5], whole[8:13], whole[20:25], []):
        visible = collection.with_hidden({image.id for image in collection.items.images(rows).values()})
        assert visible.page(first.next, 10).rows == [row for row in whole[10:] if row not in rows][:10]


def test_deeper_results_replace_hidden_ones(deep: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(deep, tmp_path / "deep"))
    query = random_vectors(MAX_PLACES + 50, 4)[0]
    collection = Collection.open(copy)
    best = list(collection.search("images", query, 400).rows)
    hidden = [image.id for image in collection.items.images(best[:300]).values()]
    (copy / "hidden").write_text("\n".join(hidden))
    assert Collection.open(copy).search("images", query, 100).rows == best[300:]


def test_prompt_can_be_hidden_without_its_image(collection: Collection) -> None:
    visible = collection.with_hidden({item_id("prompt", "prompt 5"), item_id("image", "6.png"), "of another version"})
    results = visible.items.images([5, 6, 7])
    assert set(results) == {5, 7}
    assert {prompt.text for prompt in visible.prompts_of(list(results.values())).values()} == {"prompt 7"}
    with pytest.raises(UnknownItem):
        visible.items.prompt(item_id("prompt", "prompt 5"))
    assert visible.items.images_of([6, 7], 5)[6] == []
    assert 5 not in visible.search("prompts", visible.index("prompts").vector(5), 100).rows


def test_deleted_version_can_still_be_read(images: Vectors, prompts: Vectors, tmp_path: Path) -> None:
    path = build(tmp_path / "gone", images, prompts)
    collection = Collection.open(path)
    assert collection.thumbnails is not None
    expected = collection.search("images", images[0], 5).rows
    shutil.rmtree(path)
    with ThreadPoolExecutor(2) as pool:
        assert pool.submit(lambda: collection.search("images", images[0], 5).rows).result() == expected
        assert len(pool.submit(collection.items.images, range(IMAGES)).result()) == IMAGES
        assert len(pool.submit(collection.items.images_of, range(PROMPTS), 1).result()) == PROMPTS
        assert pool.submit(collection.thumbnails.get, 0).result()


def test_files_are_closed_with_the_last_reference(folder: Path) -> None:
    def opened() -> int:
        return sum("items.sqlite" in str(link.resolve()) for link in Path("/proc/self/fd").iterdir())

    before = opened()
    collection = Collection.open(folder)
    other = collection.with_hidden(frozenset())
    assert opened() == before + 1
    del collection
    assert opened() == before + 1
    assert other.items.images([0])
    del other
    assert opened() == before


def test_threads_search_at_once(collection: Collection) -> None:
    queries = random_vectors(40, DIM, seed=9)

    def results(query: Vectors) -> tuple[list[int], list[float]]:
        page = collection.search("images", query, 20)
        return list(page.rows), scores_of(page).tolist()

    expected = [results(query) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(results, queries)) == expected


def test_prompts_of_images_are_found_by_their_rows(collection: Collection) -> None:
    images = collection.items.images([0, 5, IMAGES])
    results = collection.prompts_of(list(images.values()))
    assert {row: prompt.text for row, prompt in results.items()} == {0: "prompt 0", 5: "prompt 5", 59: "prompt 59"}
    assert results[59].image_count == IMAGES + 2 - 59


def test_thumbnails_are_read_by_row(collection: Collection) -> None:
    assert collection.thumbnails is not None
    assert (collection.thumbnails.get(0) or b"").startswith(b"RIFF")
    assert collection.thumbnails.get(IMAGES) is None


def test_a_cursor_of_another_version_is_gone(collection: Collection) -> None:
    cursor = Cursor("20000101T000000.000000Z", Search("images", random_vectors(1, DIM)[0]), 0)
    with pytest.raises(CursorGone, match=r"version 20000101T000000\.000000Z is no longer served"):
        collection.page(cursor, 10)


def test_a_cursor_of_another_model_is_an_error(collection: Collection) -> None:
    with pytest.raises(CursorError, match="not one of this collection's model"):
        collection.page(Cursor(collection.version, Search("images", random_vectors(1, DIM + 1)[0]), 0), 10)


def test_a_cursor_past_the_end_is_an_empty_last_page(collection: Collection) -> None:
    page = collection.page(Cursor(collection.version, Search("images", random_vectors(1, DIM)[0]), 2**32 - 1), 10)
    assert page == Page([], [], None)


def test_collection_requires_its_own_model(collection: Collection, vit_bundle: Bundle) -> None:
    reference = replace(collection.manifest.model, name="tiny", identity=vit_bundle.identity)
    collection = Collection(collection.folder)
    collection.manifest = replace(collection.manifest, model=reference)
    assert collection.require_model(vit_bundle) is vit_bundle
    other = replace(vit_bundle, source=replace(vit_bundle.source, sha256="0" * 64))
    with pytest.raises(ModelMismatch, match="another model called tiny"):
        collection.require_model(other)
    with pytest.raises(ModelMismatch, match="the model tiny, which is not there"):
        collection.require_model(None)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "items.sqlite",
        "thumbnails.sqlite",
        "images.faiss",
        "images.f16.npy",
        "prompts.faiss",
        "fields.sqlite",
        "words.sqlite",
        "field-0.npy",
    ],
)
@pytest.mark.parametrize("damage", ["empty", "garbage"])
def test_a_damaged_file_is_a_collection_error(folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    [version] = (copy / "versions").iterdir()
    (version / name).write_bytes(b"" if damage == "empty" else b"garbage " * 1000)
    with pytest.raises(CollectionError):
        Collection.open(copy)


def test_originals_are_read_for_takedowns_only_if_a_picture_is_hidden(tmp_path: Path) -> None:
    with contextlib.closing(
        Collection.open(build(tmp_path / "c", random_vectors(3, 4), random_vectors(3, 4)))
    ) as opened:
        missing = tmp_path / "no such file"
        assert not opened.shows_hidden_picture(missing)
        assert not opened.with_hidden({item_id("prompt", "prompt 1"), "unknown"}).shows_hidden_picture(missing)
        visible = opened.with_hidden({item_id("image", "1.png")})
        with pytest.raises(FileNotFoundError):
            visible.shows_hidden_picture(missing)
        for content, is_hidden in ((b"content 1", True), (b"content 2", False)):
            (tmp_path / "a.png").write_bytes(content)
            assert visible.shows_hidden_picture(tmp_path / "a.png") is is_hidden
