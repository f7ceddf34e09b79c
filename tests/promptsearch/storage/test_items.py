from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.sources import Item
from builder.sources.inputs.picture import FilePicture
from builder.versions.staging import Staging
from promptsearch.errors import CollectionError, UnknownItem
from promptsearch.storage.items import ItemStore, Prompt, item_id
from tests.support.vectors import random_vectors

COUNT = 1200  # more than one statement's batch


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ItemStore]:
    """Yield items: image n has prompt `prompt n // 2`, no vector if n is a multiple of 100; the last has no prompt."""
    root = Path("/pictures")
    settings = {"seed": 2**63 - 1, "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms", "model": "sd", "created": "2022"}
    vectors = random_vectors(COUNT, 4)
    with Staging(tmp_path_factory.mktemp("store"), 4) as staging:
        for number in range(COUNT - 1):
            item = Item(
                f"{number}.png",
                f"{number}.png",
                f"prompt {number // 2} ü☃",
                FilePicture(root, f"sub/{number}.png"),
                width=1,
                height=2,
                settings=settings if number == 1 else {},
                extra={"style": "ö", "tags": [1, None]} if number == 1 else {},
            )
            if number % 100 == 0:
                staging.add(item, None)
            else:
                staging.add(item, vectors[number], (64, 32))
        staging.add(Item("last", "http://example.com/last", None), None)
        staging.prompts.append(random_vectors(600, 4))
    store = ItemStore(staging.folder / "items.sqlite")
    yield store
    store.close()


def test_ids_are_hashes_of_kind_and_key() -> None:
    assert item_id("image", "a.png") == hashlib.sha256(b"image\0a.png").hexdigest()[:20]
    assert len({item_id("image", "a"), item_id("prompt", "a"), item_id("image", "b")}) == 3
    assert item_id("prompt", "\ud800") != item_id("prompt", "\udc00")


def test_image_has_the_metadata_of_its_source(store: ItemStore) -> None:
    image = store.image(item_id("image", "1.png"))
    assert (image.file, image.source, image.width, image.height) == ("sub/1.png", "1.png", 64, 32)
    assert image.settings == {
        "seed": 2**63 - 1, "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms", "model": "sd", "created": "2022",
    }  # fmt: skip
    assert image.extra == {"style": "ö", "tags": [1, None]}
    assert store.prompts([image.prompt or 0])[image.prompt or 0].text == "prompt 0 ü☃"


def test_unknown_metadata_is_left_out(store: ItemStore) -> None:
    image = store.image(item_id("image", "2.png"))
    assert (image.settings, image.extra) == ({}, {})
    last = store.image(item_id("image", "last"))
    assert (last.prompt, last.file, last.width) == (None, None, None)


def test_image_without_vector_has_the_sources_size_and_one_of_the_last_rows(store: ItemStore) -> None:
    image = store.image(item_id("image", "100.png"))
    assert (image.width, image.height, image.file) == (1, 2, None)
    assert image.row == COUNT - 13 + 1


def test_a_prompt_counts_its_images(store: ItemStore) -> None:
    id = item_id("prompt", "prompt 3 ü☃")
    assert store.prompt(id) == Prompt(3, id, "prompt 3 ü☃", 2)
    assert [image.source for image in store.images_of([3], 10)[3]] == ["6.png", "7.png"]
    assert [image.source for image in store.images_of([3], 1)[3]] == ["6.png"]
    # Those with a vector come first.
    assert [image.source for image in store.images_of([50], 10)[50]] == ["101.png", "100.png"]


@pytest.mark.parametrize("rows", [[], [5], [700, 3, 3, 10**9, -1], list(range(COUNT))])
def test_rows_are_read_in_batches_without_unknown_ones(store: ItemStore, rows: list[int]) -> None:
    images = store.images(rows)
    assert set(images) == {row for row in rows if 0 <= row < COUNT}
    assert all(image.row == row for row, image in images.items())
    assert set(store.prompts(rows)) == {row for row in rows if 0 <= row < COUNT // 2}


@pytest.mark.parametrize("id", ["", "unknown", "x" * 10_000, "'; DROP TABLE images; --", "\0", "ü", "\ud800"])
def test_unknown_ids_are_errors(store: ItemStore, id: str) -> None:
    with pytest.raises(UnknownItem, match="there is no image"):
        store.image(id)
    with pytest.raises(UnknownItem, match="there is no prompt"):
        store.prompt(id)


def test_threads_read_at_once(store: ItemStore) -> None:
    numbers = [number for number in range(0, COUNT - 1, 7) for _ in range(5)]
    with ThreadPoolExecutor(16) as pool:
        sources = pool.map(lambda number: store.image(item_id("image", f"{number}.png")).source, numbers)
        assert list(sources) == [f"{number}.png" for number in numbers]


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "items.sqlite").write_bytes(content)
    with pytest.raises(CollectionError, match=r"items\.sqlite cannot be read"):
        ItemStore(tmp_path / "items.sqlite")


def test_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="cannot be read"):
        ItemStore(tmp_path / "items.sqlite")
    assert not list(tmp_path.iterdir())
