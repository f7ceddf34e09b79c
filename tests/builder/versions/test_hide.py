from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.versions.hide import hide, unhide
from promptsearch.errors import BuildError, UnknownCollection
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import read_hidden
from promptsearch.storage.items import item_id
from tests.support.vectors import build, random_vectors

VECTORS = random_vectors(40, 4)
IMAGES = [item_id("image", f"{number}.png") for number in range(40)]
PROMPT = item_id("prompt", "prompt 3")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return build(tmp_path / "c", VECTORS, VECTORS)


def test_what_is_hidden_is_found_no_more_until_it_is_shown_again(collection: Path) -> None:
    def found() -> int:
        opened = Collection.open(collection)
        try:
            return len(opened.search("images", VECTORS[7], 40).rows)
        finally:
            opened.close()

    assert found() == 40
    assert hide(collection, [IMAGES[7]]) == [IMAGES[7]]
    assert found() == 39
    assert unhide(collection, [IMAGES[7]]) == [IMAGES[7]]
    assert found() == 40


def test_hiding_is_the_same_once_and_twice(collection: Path) -> None:
    assert hide(collection, [IMAGES[0], PROMPT, IMAGES[0]]) == [IMAGES[0], PROMPT]
    text = (collection / "hidden").read_bytes()
    assert hide(collection, [PROMPT]) == []
    assert (collection / "hidden").read_bytes() == text == f"{IMAGES[0]}\n{PROMPT}\n".encode()


def test_an_unknown_id_is_named_and_nothing_is_hidden(collection: Path) -> None:
    with pytest.raises(BuildError, match="no image or prompt of c: nothing, ü; nothing was changed"):
        hide(collection, [IMAGES[0], "nothing", "ü"])
    assert read_hidden(collection) == frozenset()
    hide(collection, [IMAGES[0]])
    with pytest.raises(BuildError, match=f"not hidden in c: {IMAGES[1]}; nothing was changed"):
        unhide(collection, [IMAGES[0], IMAGES[1]])
    assert read_hidden(collection) == {IMAGES[0]}


def test_what_people_wrote_into_the_file_stays(collection: Path) -> None:
    (collection / "hidden").write_text(f"# asked for by mail\n{IMAGES[1]} # on Monday\n\n{IMAGES[2]}")
    hide(collection, [IMAGES[3]])
    unhide(collection, [IMAGES[1]])
    assert (collection / "hidden").read_text() == f"# asked for by mail\n\n{IMAGES[2]}\n{IMAGES[3]}\n"


def test_later_builds_keep_to_it_and_may_lack_the_item(collection: Path) -> None:
    hide(collection, [IMAGES[39]])
    build(collection, VECTORS[:5], None)
    assert read_hidden(collection) == {IMAGES[39]}
    assert hide(collection, [IMAGES[39], IMAGES[1]]) == [IMAGES[1]]
    assert unhide(collection, [IMAGES[39]]) == [IMAGES[39]]


def test_takedowns_at_the_same_time_lose_none(collection: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda image: hide(collection, [image]), IMAGES))
    assert read_hidden(collection) == set(IMAGES)


def test_there_is_nothing_to_hide_in_what_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(UnknownCollection, match="is no published collection"):
        hide(tmp_path / "none", IMAGES[:1])
