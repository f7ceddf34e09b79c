"""Options of a search, the search itself, and sums of query vectors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import MODES, OPTION_NAMES, SCORE, Options, Search, combine, normalize_sort
from promptsearch.storage.manifest import KINDS, Kind
from tests.support.vectors import random_vectors

VECTOR = random_vectors(1, 4)[0]
options = st.builds(
    Options,
    mode=st.sampled_from(MODES),
    filter=st.none() | st.builds(Filter.parse, st.dictionaries(st.sampled_from("abc"), st.integers())),
    min_score=st.none() | st.floats(-1, 1),
    group_by=st.sampled_from([None, "prompt"]),
    deduplicate=st.booleans(),
    via=st.sampled_from([None, "images"]),
) | st.builds(Options, sort=st.none() | st.text(max_size=9), mode=st.sampled_from(MODES))


@given(options=options)
def test_non_defaults_describe_the_options(options: Options) -> None:
    described = options.non_defaults()
    assert Options.from_non_defaults(json.loads(json.dumps(described))) == options
    assert described.keys() == {name for name in OPTION_NAMES if getattr(options, name) != getattr(Options(), name)}


def test_options_are_chosen_from_named_values() -> None:
    values = {"q": "fox", "limit": 3, "mode": "hybrid", "filter": {"steps": 20}, "sort": "-steps", "min_score": None}
    chosen = Options.from_values(values)
    assert chosen == Options(mode="hybrid", filter=Filter.parse({"steps": 20}), sort="-steps")
    assert Options.from_values(values | {"filter": chosen.filter}) == chosen
    assert Options.from_values({"sort": "score"}) == Options.from_values({}) == Options()


@pytest.mark.parametrize(
    ("sort", "mode", "expected"),
    [
        (None, "semantic", None), ("", "semantic", None), ("seed", "semantic", "seed"), ("-seed", "hybrid", "-seed"),
        ("score", "semantic", None), ("-score", "semantic", None),
        ("score", "keyword", SCORE), ("-score", "hybrid", SCORE), (None, "keyword", None),
    ],
)  # fmt: skip
def test_sort_by_score_is_the_order_of_semantic_mode(sort: str | None, mode: str, expected: str | None) -> None:
    assert normalize_sort(sort, mode) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "best"}, "mode must be one of semantic, keyword, hybrid, got 'best'"),
        ({"group_by": "seed"}, "group_by must be prompt, got 'seed'"),
        ({"via": "prompts"}, "via must be images, got 'prompts'"),
        ({"min_score": 1.5}, "min_score must be from -1 to 1, got 1.5"),
        ({"min_score": float("nan")}, "min_score must be from -1 to 1, got nan"),
        ({"diversity": -0.1}, "diversity must be from 0 to 1, got -0.1"),
        ({"diversity": float("nan")}, "diversity must be from 0 to 1, got nan"),
        ({"sort": "seed", "diversity": 0.5}, "sort and diversity exclude each other"),
    ],
)
def test_invalid_option_is_an_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Options(**values)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [{"group_by": "prompt"}, {"via": "images"}])
def test_options_of_one_kind_are_refused_for_the_other(kind: Kind, values: dict[str, Any]) -> None:
    options = Options(**values)
    if (kind == "images") == ("group_by" in values):
        assert Search(kind, VECTOR, options).options is options
    else:
        with pytest.raises(ParameterError, match=r"applies to (images|prompts) only"):
            Search(kind, VECTOR, options)


@pytest.mark.parametrize("other", [{"sort": "seed"}, {"diversity": 0.5}, {"deduplicate": True}])
def test_via_excludes_other_orders(other: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="via=images excludes sort, diversity and deduplicate"):
        Search("prompts", VECTOR, Options(via="images", **other))


def test_search_needs_a_query_filter_or_sort() -> None:
    for options in (Options(sort="seed"), Options(filter=Filter.parse({}))):
        assert Search("images", None, options).vector is None
    with pytest.raises(EmptyQuery):
        Search("images", None)
    for scored in ({"min_score": 0.1}, {"diversity": 0.5}, {"deduplicate": True}):
        with pytest.raises(ParameterError, match="need scores"):
            Search("images", None, Options(filter=Filter.parse({}), **scored))


@pytest.mark.parametrize("words", [None, "", "  "])
@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_modes_with_words_need_words(mode: Any, words: str | None) -> None:
    with pytest.raises(ParameterError, match=f"mode={mode} needs words"):
        Search("images", VECTOR, Options(mode=mode), words)


@given(weights=st.lists(st.floats(0.01, 100) | st.floats(-100, -0.01), min_size=1, max_size=6))
def test_combination_is_the_normalized_weighted_sum(weights: list[float]) -> None:
    vectors = random_vectors(len(weights), 8)
    total = sum(weight * vector.astype(np.float64) for vector, weight in zip(vectors, weights, strict=True))
    combined = combine([*vectors], weights)
    assert combined.dtype == np.float32
    np.testing.assert_allclose(combined, total / np.linalg.norm(total), atol=2e-4)


def test_terms_that_cancel_out_are_an_error() -> None:
    with pytest.raises(ParameterError, match="the terms cancel each other out"):
        combine([VECTOR, VECTOR], [0.5, -0.5])
