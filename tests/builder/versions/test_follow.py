"""Takedowns of earlier releases follow their pictures from the first build on that stores digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.versions.hide import hidden_and_gone
from promptsearch.search.collection import Collection
from promptsearch.storage.digests import digest_of
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import FILES, current_version
from tests.support.vectors import build, random_vectors

VECTORS = random_vectors(40, 8)
IMAGES = [item_id("image", f"{number}.png") for number in range(41)]
PROMPT = item_id("prompt", "prompt 3")
SWAPPED = [*range(7), 8, 7, *range(9, 40)]  # 7.png and 8.png took each other's names
RENAMED = [*range(7), *range(8, 40), 7]  # 7.png is gone, 8.png became 7.png …, and the hidden one 39.png


def takedown(name: int, content: int) -> Takedown:
    """Return the takedown of `<name>.png`, which had the content of picture number `content`."""
    return Takedown(IMAGES[name], digest_of(b"content %d" % content))


def of_an_earlier_release(collection: Path, hidden: str) -> None:
    """Turn what is served into a version of an earlier release, with takedowns as that wrote them."""
    (current_version(collection) / FILES.digests).unlink(missing_ok=True)
    (collection / FILES.hidden).write_text(hidden)


def rebuilt(collection: Path, order: list[int]) -> set[int]:
    """Build again, with picture `order[n]` under the name `<n>.png`; return the names that a search finds."""
    build(collection, VECTORS[order], VECTORS[order], content=lambda name: b"content %d" % order[name])
    opened = Collection.open(collection)
    try:
        rows = opened.search("images", VECTORS[7], len(order)).rows
        return {IMAGES.index(image.id) for image in opened.items.images(rows).values()}
    finally:
        opened.close()


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return build(tmp_path / "c", VECTORS, VECTORS)


def test_comments_and_prompts_in_the_file_are_kept(collection: Path) -> None:
    of_an_earlier_release(collection, f"{IMAGES[7]} # on Monday\n{PROMPT}\n{IMAGES[9]}")
    assert rebuilt(collection, list(range(40))) == set(range(40)) - {7, 9}
    assert read_hidden(collection) == {takedown(7, 7), takedown(9, 9), Takedown(PROMPT)}
    assert (collection / "hidden").read_text() == f"{takedown(7, 7)}; on Monday\n{PROMPT}\n{takedown(9, 9)}\n"
    assert rebuilt(collection, SWAPPED) == set(range(40)) - {8, 9}


@pytest.mark.parametrize(("order", "hidden"), [(SWAPPED, 8), (RENAMED, 39)])
def test_a_picture_that_was_renamed_before_that_build_stays_hidden(
    collection: Path, order: list[int], hidden: int
) -> None:
    of_an_earlier_release(collection, IMAGES[7])
    assert rebuilt(collection, order) == set(range(40)) - {hidden}
    assert rebuilt(collection, list(range(40))) == set(range(40)) - {7}


def test_a_line_without_a_digest_follows_the_picture_of_the_served_version(collection: Path) -> None:
    (collection / "hidden").write_text(IMAGES[7])  # by hand
    assert rebuilt(collection, SWAPPED) == set(range(40)) - {8}
    assert read_hidden(collection) == {takedown(7, 7)}


def test_a_copy_that_was_shown_beside_it_is_not_hidden(tmp_path: Path) -> None:
    """The files differ in what the model does not see, such as their metadata."""
    vectors = VECTORS[[*range(8), 7, *range(9, 40)]]
    collection = build(tmp_path / "c", vectors, None)
    of_an_earlier_release(collection, IMAGES[7])
    build(collection, vectors, None)
    assert read_hidden(collection) == {takedown(7, 7)}
    of_an_earlier_release(collection, IMAGES[7])
    others = [*range(7), 9, *range(8, 40)]  # another picture took its name
    build(collection, vectors[others], None, content=lambda name: b"content %d" % others[name])
    assert read_hidden(collection) == {Takedown(IMAGES[7])}


def test_a_removed_picture_stays_hidden_by_its_id(collection: Path) -> None:
    of_an_earlier_release(collection, IMAGES[39])
    build(collection, VECTORS[:39], None)
    assert read_hidden(collection) == {Takedown(IMAGES[39])}
    assert hidden_and_gone(collection) == [Takedown(IMAGES[39])]


def test_an_unreadable_served_version_is_ignored(collection: Path) -> None:
    of_an_earlier_release(collection, IMAGES[7])
    (current_version(collection) / FILES.manifest).write_text('{"schema_version": 1}')
    assert rebuilt(collection, list(range(40))) == set(range(40)) - {7}
    assert read_hidden(collection) == {takedown(7, 7)}
