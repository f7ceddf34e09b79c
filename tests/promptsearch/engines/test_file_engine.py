"""The engine on files: filtered, listed and sorted rows, words, and siblings, without hidden items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from promptsearch.engines.file_engine import FileEngine
from promptsearch.engines.stages import Stopwatch, untimed
from promptsearch.filtering.filters import Filter
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Manifest, current_version
from tests.support.vectors import Vectors, build, nearest, random_vectors

IMAGES, PROMPTS, DIM = 60, 12, 8
LOW = Filter.parse({"seed": {"lt": 3}})


def text(number: int) -> str:
    return f"prompt {number} {'fox' if number % 3 == 0 else 'dog'}"


def seed(number: int) -> int:
    return number * 7 % 10


def described(number: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return {"seed": seed(number)}, {}


@pytest.fixture(scope="module")
def images() -> Vectors:
    return random_vectors(IMAGES, DIM)


@pytest.fixture(scope="module")
def engine(images: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileEngine]:
    prompts = random_vectors(PROMPTS, DIM, seed=1)
    collection = tmp_path_factory.mktemp("indices") / "engine"
    folder = current_version(build(collection, images, prompts, texts=text, describe=described))
    engine = FileEngine(folder, Manifest.read(folder))
    yield engine
    engine.close()


def test_a_filtered_search_is_brute_force_over_the_rows_that_are_left(engine: FileEngine, images: Vectors) -> None:
    stages = Stopwatch()
    rows, scores = engine.nearest("images", images[0], 5, LOW, stages)
    left = [row for row in range(IMAGES) if seed(row) < 3]
    places, expected = nearest(images[left], images[0], 5)
    assert rows.tolist() == [left[place] for place in places]
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert {"filter", "search"} <= stages.milliseconds.keys()


def test_prompts_meet_a_filter_by_one_of_their_images(engine: FileEngine) -> None:
    rows = engine.list_rows("prompts", PROMPTS, LOW, None, untimed).tolist()
    prompts = engine.prompts(np.arange(IMAGES)).tolist()
    assert rows == sorted({prompts[row] for row in range(IMAGES) if seed(row) < 3})


def test_rows_are_listed_in_the_order_of_a_field(engine: FileEngine) -> None:
    order = sorted(range(IMAGES), key=lambda row: (-seed(row), row))
    assert engine.list_rows("images", 10, None, "-seed", untimed).tolist() == order[:10]
    rows = np.array([5, 1, 9, 30])
    assert rows[engine.order("images", rows, "-seed")].tolist() == [row for row in order if row in rows]


def test_images_of_the_words_are_ordered_by_their_cosine_within_a_prompt(engine: FileEngine, images: Vectors) -> None:
    rows, scores = engine.keyword_search("images", "fox", images[0], IMAGES, None, untimed)
    prompts = engine.prompts(rows).tolist()
    assert set(prompts) == {number for number in range(PROMPTS) if number % 3 == 0}
    for prompt in set(prompts):
        of_prompt = [score for score, own in zip(scores.tolist(), prompts, strict=True) if own == prompt]
        assert of_prompt == sorted(of_prompt, reverse=True)


def test_hidden_items_are_no_siblings_and_have_no_words(engine: FileEngine, images: Vectors) -> None:
    prompts = engine.prompts(np.arange(IMAGES)).tolist()
    last = PROMPTS - 1
    of_last = [row for row in range(IMAGES) if prompts[row] == last]
    assert engine.sibling_counts([of_last[0]], None) == [len(of_last) - 1]
    hidden = engine.items.find_hidden({item_id("image", f"{of_last[1]}.png"), item_id("prompt", text(0))})
    without = engine.with_hidden(hidden)
    assert without.sibling_counts([of_last[0]], None) == [len(of_last) - 2]
    rows, _ = without.keyword_search("images", "fox", images[0], IMAGES, None, untimed)
    assert 0 not in without.prompts(rows).tolist()
    assert 0 in engine.prompts(engine.keyword_search("images", "fox", images[0], IMAGES, None, untimed)[0]).tolist()
