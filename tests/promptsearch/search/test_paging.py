"""Options of a search against brute force over the stored vectors, and pages against one big page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptsearch.encoding.encoders import unit
from promptsearch.errors import EmptyQuery, ParameterError, Unsupported
from promptsearch.filtering.filters import Filter
from promptsearch.search.collection import Collection, Page
from promptsearch.search.diversity import ALIKE
from promptsearch.search.options import SCORE, Mode, Options
from promptsearch.search.paging import DIVERSIFIED, POOL
from promptsearch.search.terms import Term
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Kind
from tests.support.vectors import (
    ENGINES,
    Vectors,
    all_pages,
    build,
    filtered_by,
    in_milvus,
    nearest,
    opened,
    random_vectors,
    scores_of,
)

IMAGES, PROMPTS, DIM = 1500, 300, 12
PROMPT_OF = np.minimum(np.arange(IMAGES), PROMPTS - 1)  # the row of each image's
WORDS = ("castle", "dog", "night", "Schloß", "red", "fox")


def text_of(number: int) -> str:
    return f"prompt {number} {WORDS[number % 6]} {WORDS[number % 5]}"


def described(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"seed": number % 7, "steps": None if number % 5 else (number * 37) % 50}, {"folder": f"f{number % 40}"}


@pytest.fixture(scope="module")
def images() -> Vectors:
    """Return vectors, some hundreds of which nearly equal another."""
    vectors = random_vectors(IMAGES, DIM)
    near = vectors[:300] + 0.05 * random_vectors(300, DIM, seed=3)
    vectors[700:1000] = unit(near.astype(np.float32)).astype(np.float16).astype(np.float32)
    return vectors


@pytest.fixture(scope="module", params=ENGINES)
def collection(
    request: pytest.FixtureRequest, images: Vectors, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collection]:
    with opened(built(tmp_path_factory, images), request.param) as collection:
        yield collection


@pytest.fixture(scope="module")
def collection_with_words(images: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Yield a collection on files, which alone are searched by words."""
    with opened(built(tmp_path_factory, images), "files") as collection:
        yield collection


def built(folders: pytest.TempPathFactory, images: Vectors) -> Path:
    prompts = random_vectors(PROMPTS, DIM, seed=1)
    return build(folders.mktemp("indices") / "paged", images, prompts, describe=described, texts=text_of)


def by_words(collection: Collection, mode: Mode) -> AbstractContextManager[object]:
    """Return the context in which a search by words runs: Milvus refuses it, as it ranks words otherwise."""
    refused = in_milvus(collection) and mode != "semantic"
    return pytest.raises(Unsupported, match="send mode=semantic") if refused else nullcontext()


def every(collection: Collection, kind: Kind, query: Vectors | None, options: Options, limit: int, **more: Any) -> Page:
    results = all_pages(collection, collection.search(kind, query, limit, options, **more), limit)
    assert all(len(page.rows) == limit for page in results[:-1])
    rows = [row for page in results for row in page.rows]
    assert len(set(rows)) == len(rows)
    return Page(rows, [score for page in results for score in page.scores], None)


filters = st.sampled_from([None, {"seed": [1, 2]}, {"folder": "f3"}, {"steps": {"exists": True}}, {"seed": 99}])
options = (
    st.builds(
        Options,
        filter=filters.map(lambda data: None if data is None else Filter.parse(data)),
        mode=st.sampled_from(["semantic", "keyword", "hybrid"]),
        min_score=st.none() | st.floats(-0.5, 0.9),
        group_by=st.sampled_from([None, "prompt"]),
        deduplicate=st.booleans(),
    )
    | st.builds(
        Options,
        filter=filters.map(lambda data: None if data is None else Filter.parse(data)),
        sort=st.sampled_from(["seed", "-steps", "folder"]),
    )
    | st.builds(Options, diversity=st.floats(0, 1))
)


@settings(max_examples=30)
@given(options=options, seed=st.integers(0, 9), limit=st.integers(1, 400))
def test_pages_of_any_search_are_parts_of_one_large_page(
    collection: Collection, options: Options, seed: int, limit: int
) -> None:
    query = random_vectors(1, DIM, seed=seed)[0]
    with by_words(collection, options.mode):
        whole = collection.search("images", query, 10_000, options, words="castle")
        results = every(collection, "images", query, options, max(limit, len(whole.rows) // 8 + 1), words="castle")
        assert whole.next is None
        assert (results.rows, results.scores) == (whole.rows, whole.scores)


@settings(max_examples=30)
@given(filter=filters, seed=st.integers(0, 9), kind=st.sampled_from(["images", "prompts"]))
def test_filtered_search_equals_brute_force_over_matching_rows(
    collection: Collection, images: Vectors, filter: Any, seed: int, kind: Kind
) -> None:
    query = random_vectors(1, DIM, seed=seed)[0]
    parsed = None if filter is None else Filter.parse(filter)
    mask = np.ones(IMAGES, bool) if parsed is None else filtered_by(parsed, collection)
    vectors = images
    if kind == "prompts":
        vectors = random_vectors(PROMPTS, DIM, seed=1)
        mask = np.isin(np.arange(PROMPTS), PROMPT_OF[mask])
    left = np.flatnonzero(mask)
    rows, scores = nearest(vectors[left], query, len(left))
    results = every(collection, kind, query, Options(filter=parsed), 400)
    assert [left[row] for row in rows] == results.rows
    np.testing.assert_allclose(scores_of(results), np.asarray(scores), atol=1e-3)


@settings(max_examples=30)
@given(weights=st.lists(st.floats(-2, 2).filter(lambda weight: abs(weight) > 0.01), min_size=1, max_size=5))
def test_weighted_query_is_the_normalized_weighted_sum(
    collection: Collection, images: Vectors, weights: list[float]
) -> None:
    ids = [item_id("image", f"{number}.png") for number in range(len(weights))]
    given_vector = tuple((3.0 * images[20]).tolist())
    terms = [*(Term(id=id, weight=weight) for id, weight in zip(ids, weights, strict=True)), Term(vector=given_vector)]
    total = sum(weight * images[number].astype(np.float64) for number, weight in enumerate(weights)) + images[20]
    results = collection.page(collection.begin("images", terms, [None] * len(terms)), 50)
    rows, scores = nearest(images, unit(np.asarray(total, dtype=np.float32)), 100)
    expected = [(row, score) for row, score in zip(rows, scores, strict=True) if row >= len(weights)][:50]
    np.testing.assert_allclose(scores_of(results), np.asarray([score for _, score in expected]), atol=1e-3)
    # Of almost equal scores either may stand first, for sums are rounded.
    np.testing.assert_allclose(
        scores_of(results), images[results.rows] @ unit(np.asarray(total, dtype=np.float32)), atol=1e-3
    )


def test_terms_that_cancel_out_are_refused(collection: Collection) -> None:
    id = item_id("image", "3.png")
    with pytest.raises(ParameterError, match="the terms cancel each other out"):
        collection.begin("images", [Term(id=id), Term(id=id, weight=-1.0)], [None, None])


def test_an_item_of_the_other_kind_is_a_term(collection: Collection) -> None:
    cursor = collection.begin("images", [Term(id=item_id("prompt", text_of(3)))], [None])
    assert cursor.search.exclude == ()
    assert cursor.search.vector is not None
    np.testing.assert_allclose(cursor.search.vector, random_vectors(PROMPTS, DIM, seed=1)[3], atol=1e-3)


def test_a_minimum_score_is_kept(collection: Collection, images: Vectors) -> None:
    results = every(collection, "images", images[0], Options(min_score=0.5), 100)
    _, scores = nearest(images, images[0], IMAGES)
    assert len(results.rows) == sum(score >= 0.5 for score in scores)


def test_group_is_its_best_image_and_the_number_of_others(collection: Collection, images: Vectors) -> None:
    filter = Filter.parse({"seed": [1, 2, 3]})
    page = collection.search("images", images[0], 400, Options(group_by="prompt", filter=filter))
    prompts = PROMPT_OF
    left = [row for row in range(IMAGES) if row % 7 in (1, 2, 3)]
    best: dict[int, int] = {}
    for place in nearest(images[left], images[0], len(left))[0]:
        best.setdefault(int(prompts[left[place]]), left[place])
    assert page.rows == list(best.values())
    assert page.more == [sum(int(prompts[other]) == int(prompts[row]) for other in left) - 1 for row in page.rows]


def test_near_duplicates_are_left_out(collection: Collection, images: Vectors) -> None:
    page = collection.search("images", images[5], 10_000, Options(deduplicate=True))
    assert page.duplicates is not None
    assert sum(page.duplicates) + len(page.rows) == POOL
    kept = images[page.rows]
    alike = kept @ kept.T - np.eye(len(kept))
    assert alike.max() <= ALIKE
    assert page.duplicates[0] >= 1  # 705 is nearly 5


def test_duplicates_of_a_hidden_image_are_not_hidden(collection: Collection, images: Vectors) -> None:
    visible = collection.with_hidden({item_id("image", "5.png")})
    page = visible.search("images", images[5], 10, Options(deduplicate=True))
    assert page.rows[0] == 705


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_group_is_its_best_image_in_modes_with_words(
    collection_with_words: Collection, images: Vectors, mode: Mode
) -> None:
    words = text_of(PROMPTS - 1).split()[-1]  # the last prompt has most of the images
    page = collection_with_words.search("images", images[0], 400, Options(mode=mode, group_by="prompt"), words=words)
    prompts = PROMPT_OF
    assert PROMPTS - 1 in prompts[page.rows]
    for row in page.rows:
        of_prompt = np.flatnonzero(prompts == prompts[row])
        assert row == of_prompt[np.argmax(images[of_prompt] @ images[0])]


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_keyword_results_are_sorted_by_score(collection_with_words: Collection, images: Vectors, mode: Mode) -> None:
    ranked = collection_with_words.search("images", images[0], POOL, Options(mode=mode), words="dog")
    page = collection_with_words.search("images", images[0], POOL, Options(mode=mode, sort=SCORE), words="dog")
    assert sorted(page.rows) == sorted(ranked.rows)
    np.testing.assert_array_equal(scores_of(page), np.sort(scores_of(ranked))[::-1])
    assert list(page.rows) != list(ranked.rows)


@pytest.mark.parametrize("sort", ["seed", "-seed", "steps", "-steps"])
def test_best_results_are_sorted_by_a_field(collection: Collection, images: Vectors, sort: str) -> None:
    best = nearest(images, images[0], POOL)[0]
    page = collection.search("images", images[0], 10_000, Options(sort=sort))
    name, turn = sort.removeprefix("-"), -1 if sort.startswith("-") else 1
    values = {row: described(row)[0][name] for row in range(IMAGES)}
    expected = sorted(best, key=lambda row: (values[row] is None, turn * (values[row] or 0), row))
    assert page.rows == expected
    scores = dict(zip(*nearest(images, images[0], POOL), strict=True))
    np.testing.assert_allclose(scores_of(page), np.asarray([scores[row] for row in page.rows]), atol=1e-3)


def test_filter_or_sort_without_a_query_lists_rows(collection: Collection) -> None:
    options = Options(filter=Filter.parse({"seed": 3}), sort="-steps")
    results = every(collection, "images", None, options, 50)
    left = [row for row in range(IMAGES) if row % 7 == 3]
    steps = {row: described(row)[0]["steps"] for row in left}
    assert results.rows == sorted(left, key=lambda row: (steps[row] is None, -(steps[row] or 0), row))
    assert set(results.scores) == {None}
    assert every(collection, "images", None, Options(sort="seed"), 999).rows == sorted(
        range(IMAGES), key=lambda row: (row % 7, row)
    )
    by_prompt = every(collection, "prompts", None, Options(sort="-seed"), 100)
    greatest = {row: row % 7 if row < PROMPTS - 1 else 6 for row in range(PROMPTS)}
    assert by_prompt.rows == sorted(range(PROMPTS), key=lambda row: (-greatest[row], row))
    with pytest.raises(EmptyQuery):
        collection.search("images", None, 5)
    with pytest.raises(ParameterError, match="need scores: send a text or picture"):
        collection.search("images", None, 5, Options(sort="seed", min_score=0.1))


def test_keyword_results_have_all_words(collection_with_words: Collection, images: Vectors) -> None:
    def results(words: str, kind: Kind = "prompts", **others: Any) -> list[int]:
        options = Options(mode="keyword", **others)
        return list(every(collection_with_words, kind, images[0], options, 500, words=words).rows)

    def having(*words: str) -> set[int]:
        return {row for row in range(PROMPTS) if set(words) <= set(text_of(row).split())}

    assert set(results("castle dog")) == having("castle", "dog")
    assert set(results("DOG")) == having("dog")
    assert set(results("schloß")) == having("Schloß")
    assert set(results('"castle castle"')) == {row for row in range(PROMPTS) if "castle castle" in text_of(row)}
    assert results("unicorn") == []
    assert results("* - ( )") == []
    assert set(results("NEAR(dog) OR fox*")) == set()  # words, no language of its own
    assert set(results("dog", "images", filter=Filter.parse({"seed": 2}))) == {
        row for row in range(IMAGES) if row % 7 == 2 and min(row, PROMPTS - 1) in having("dog")
    }


def test_images_of_a_hidden_prompt_are_not_found_by_its_words(
    collection_with_words: Collection, images: Vectors
) -> None:
    visible = collection_with_words.with_hidden({item_id("prompt", text_of(7))})
    options = Options(mode="keyword")
    assert collection_with_words.search("images", images[0], 5, options, words='"prompt 7 dog"').rows == [7]
    assert visible.search("images", images[0], 5, options, words='"prompt 7 dog"').rows == []


def test_hybrid_ranks_by_both(collection_with_words: Collection, images: Vectors) -> None:
    words = "castle night"
    semantic = list(collection_with_words.search("images", images[0], 200).rows)
    by_words = list(collection_with_words.search("images", images[0], 200, Options(mode="keyword"), words=words).rows)
    page = collection_with_words.search("images", images[0], 20, Options(mode="hybrid"), words=words)
    weight = {
        row: sum(1 / (61 + order.index(row)) for order in (semantic, by_words) if row in order)
        for row in {*semantic, *by_words}
    }
    assert page.rows == sorted(weight, key=lambda row: (-weight[row], row))[:20]
    np.testing.assert_allclose(scores_of(page), images[page.rows] @ images[0], atol=1e-3)


def test_prompts_are_ranked_by_their_best_image(collection: Collection, images: Vectors) -> None:
    visible = collection.with_hidden({item_id("image", "4.png"), item_id("prompt", text_of(9))})
    for searched in (collection, visible):
        results = every(searched, "prompts", images[4], Options(via="images"), 70)
        order, scores = nearest(images, images[4], IMAGES)
        gone = searched.items.hidden("images")
        best: dict[int, float] = {}
        for row, score in zip(order, scores, strict=True):
            if row not in gone:
                best.setdefault(int(PROMPT_OF[row]), score)
        left = {prompt: score for prompt, score in best.items() if prompt not in searched.items.hidden("prompts")}
        assert results.rows == list(left)
        np.testing.assert_allclose(scores_of(results), np.asarray(list(left.values())), atol=1e-3)


def test_diversity_reorders_the_best_results_only(collection: Collection, images: Vectors) -> None:
    plain = collection.search("images", images[5], 600).rows
    for diversity in (0.3, 0.7):
        page = collection.search("images", images[5], 600, Options(diversity=diversity))
        assert page.rows[0] == plain[0]
        assert set(page.rows[:DIVERSIFIED]) == set(plain[:DIVERSIFIED])
        assert page.rows[DIVERSIFIED:] == plain[DIVERSIFIED:]
        apart = [float(images[row] @ images[other]) for row, other in pairwise(page.rows[:20])]
        assert np.mean(apart) < np.mean([float(images[row] @ images[other]) for row, other in pairwise(plain[:20])])


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("prompts", {"group_by": "prompt"}, "group_by=prompt applies to images only"),
        ("images", {"via": "images"}, "via=images applies to prompts only"),
        ("prompts", {"via": "images", "sort": "seed"}, "via=images excludes sort, diversity and deduplicate"),
        ("images", {"sort": "seed", "diversity": 0.5}, "sort and diversity exclude each other"),
        ("images", {"sort": "sede"}, "there is no field 'sede' to sort by"),
        ("images", {"mode": "keyword"}, "mode=keyword needs words"),
        ("images", {"mode": "best"}, "mode must be one of semantic, keyword, hybrid"),
        ("images", {"diversity": 2.0}, "diversity must be from 0 to 1"),
    ],
)
def test_conflicting_options_are_refused(
    collection: Collection, images: Vectors, kind: Kind, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        collection.search(kind, images[0], 5, Options(**options))
    assert says in str(caught.value)
