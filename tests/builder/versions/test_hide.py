from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.versions.hide import Affected, hidden_and_gone, hide, unhide
from promptsearch.errors import BuildError, UnknownCollection
from promptsearch.search.collection import Collection
from promptsearch.storage.digests import digest_of
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.items import item_id
from tests.support.vectors import build, random_vectors

VECTORS = random_vectors(40, 4)
IMAGES = [item_id("image", f"{number}.png") for number in range(40)]
PROMPT = item_id("prompt", "prompt 3")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return build(tmp_path / "c", VECTORS, VECTORS)


def takedown(number: int) -> Takedown:
    """Return the takedown of a picture as `build` stores it."""
    return Takedown(IMAGES[number], digest_of(b"content %d" % number))


def ids(affected: list[Affected]) -> list[str]:
    return [item.id for item in affected]


def shown(collection: Path) -> set[int]:
    """Return the numbers of the images that a search finds."""
    opened = Collection.open(collection)
    try:
        rows = opened.search("images", VECTORS[7], 40).rows
        return {IMAGES.index(image.id) for image in opened.items.images(rows).values()}
    finally:
        opened.close()


def test_hidden_items_are_not_found_until_unhidden(collection: Path) -> None:
    assert len(shown(collection)) == 40
    assert ids(hide(collection, [IMAGES[7]])) == [IMAGES[7]]
    assert shown(collection) == set(range(40)) - {7}
    assert ids(unhide(collection, [IMAGES[7]])) == [IMAGES[7]]
    assert len(shown(collection)) == 40


def test_hiding_is_idempotent(collection: Path) -> None:
    assert ids(hide(collection, [IMAGES[0], PROMPT, IMAGES[0]])) == [IMAGES[0], PROMPT]
    text = (collection / "hidden").read_bytes()
    assert hide(collection, [PROMPT]) == []
    digest = digest_of(b"content 0").hex()
    assert (collection / "hidden").read_bytes() == text == f"{IMAGES[0]} # picture {digest}\n{PROMPT}\n".encode()


def test_hidden_items_are_printed(collection: Path) -> None:
    image, prompt = hide(collection, [IMAGES[3], PROMPT])
    assert str(image) == f"{IMAGES[3]} image 3.png: 'prompt 3'"
    assert str(prompt) == f"{PROMPT} prompt 'prompt 3'"
    build(collection, VECTORS[:2], None)
    assert str(unhide(collection, [IMAGES[3]])[0]) == f"{IMAGES[3]}: not in the current version"


def test_a_long_prompt_is_printed_by_its_beginning(tmp_path: Path) -> None:
    collection = build(tmp_path / "c", VECTORS[:1], VECTORS[:1], texts=lambda _: "word " * 40)
    assert str(hide(collection, [IMAGES[0]])[0]) == f"{IMAGES[0]} image 0.png: '{('word ' * 40)[:59]}…'"


def test_an_unknown_id_is_named_and_changes_nothing(collection: Path) -> None:
    with pytest.raises(BuildError, match=r"unknown ids in c: nothing, ü\. Nothing was changed"):
        hide(collection, [IMAGES[0], "nothing", "ü"])
    assert read_hidden(collection) == frozenset()
    hide(collection, [IMAGES[0]])
    with pytest.raises(BuildError, match=rf"not hidden in c: {IMAGES[1]}\. Nothing was changed"):
        unhide(collection, [IMAGES[0], IMAGES[1]])
    assert read_hidden(collection) == {takedown(0)}


def test_comments_in_the_file_are_kept(collection: Path) -> None:
    (collection / "hidden").write_text(f"# asked for by mail\n{IMAGES[1]} # on Monday\n\n{IMAGES[2]}")
    hide(collection, [IMAGES[3]])
    unhide(collection, [IMAGES[1]])
    assert (collection / "hidden").read_text() == f"# asked for by mail\n\n{IMAGES[2]}\n{takedown(3)}\n"


def test_later_builds_keep_to_it_and_may_lack_the_item(collection: Path) -> None:
    hide(collection, [IMAGES[39]])
    build(collection, VECTORS[:5], None)
    assert read_hidden(collection) == {takedown(39)}
    assert ids(hide(collection, [IMAGES[39], IMAGES[1]])) == [IMAGES[1]]
    assert hidden_and_gone(collection) == [takedown(39)]
    assert ids(unhide(collection, [IMAGES[39]])) == [IMAGES[39]]


def test_takedowns_at_the_same_time_lose_none(collection: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda image: hide(collection, [image]), IMAGES))
    assert read_hidden(collection) == {takedown(number) for number in range(40)}


def test_hiding_in_an_unpublished_collection_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownCollection, match="is not a published collection"):
        hide(tmp_path / "none", IMAGES[:1])


def swapped(number: int) -> bytes:
    """Return the content of a picture after 7.png and 8.png have swapped names."""
    return b"content %d" % {7: 8, 8: 7}.get(number, number)


def test_takedowns_follow_a_renamed_picture_and_not_its_name(collection: Path) -> None:
    hide(collection, [IMAGES[7]])
    build(collection, VECTORS, VECTORS, content=swapped)
    assert shown(collection) == set(range(40)) - {8}
    assert hidden_and_gone(collection) == []
    assert ids(hide(collection, [IMAGES[8]])) == []
    assert ids(hide(collection, [IMAGES[7]])) == [IMAGES[7]]
    assert shown(collection) == set(range(40)) - {7, 8}


def test_copies_are_hidden_with_it_and_shown_with_it(tmp_path: Path) -> None:
    collection = build(tmp_path / "c", VECTORS, VECTORS, content=lambda number: b"%d" % (number // 2))
    assert ids(hide(collection, [IMAGES[6]])) == [IMAGES[6], IMAGES[7]]
    assert shown(collection) == set(range(40)) - {6, 7}
    assert ids(unhide(collection, [IMAGES[7]])) == [IMAGES[7], IMAGES[6]]
    assert read_hidden(collection) == frozenset()


def test_a_version_of_an_earlier_release_hides_by_id(collection: Path) -> None:
    hide(collection, [IMAGES[7]])
    version = collection / "versions" / (collection / "current").read_text().strip()
    (version / "pictures.digest.npy").unlink()
    assert shown(collection) == set(range(40)) - {7}
    assert ids(hide(collection, [IMAGES[8]])) == [IMAGES[8]]
    assert read_hidden(collection) == {takedown(7), Takedown(IMAGES[8])}
