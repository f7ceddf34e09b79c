"""Queries as clients send them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import Options
from promptsearch.search.query import Query, add_conditions, blank_to_none, build_terms, has_condition
from promptsearch.search.terms import MAX_TERMS, NEGATIVE, Term

FOX = Term(text="fox")
conditions = st.dictionaries(st.sampled_from(["seed", "steps", "sampler"]), st.integers(0, 3), min_size=1, max_size=2)


def query(terms: tuple[Term, ...] = (), options: Options | None = None, cursor: str | None = None) -> Query:
    return Query(terms, options or Options(), None, cursor, None, 20)


def test_terms_have_one_order() -> None:
    terms = build_terms("fox", [b"one", b"two"], [Term(id="a"), Term(text="snow", weight=2.0)], "night")
    assert terms == (
        FOX,
        Term(picture=b"one"),
        Term(picture=b"two"),
        Term(id="a"),
        Term(text="snow", weight=2.0),
        Term(text="night", weight=NEGATIVE),
    )


@pytest.mark.parametrize("blank", [None, "", " ", "\n\t\u3000"])
def test_blank_texts_are_left_out(blank: str | None) -> None:
    assert build_terms(blank, [], [], blank) == ()
    assert blank_to_none(blank) is None
    assert blank_to_none(" fox ") == " fox "


@pytest.mark.parametrize(
    "complete",
    [
        query((FOX,)),
        query(cursor="x"),
        query(options=Options(sort="seed")),
        query(options=Options(filter=Filter.parse({}))),
    ],
)
def test_query_with_any_content_is_complete(complete: Query) -> None:
    assert complete.require_terms() is complete


@pytest.mark.parametrize("options", [Options(), Options(mode="keyword"), Options(min_score=0.5), Options(diversity=1)])
def test_query_without_content_is_empty(options: Options) -> None:
    with pytest.raises(EmptyQuery, match="the query is empty: send `q`, `image`"):
        query(options=options).require_terms()


@pytest.mark.parametrize("values", [{"terms": (FOX,)}, {"options": Options(sort="seed")}])
def test_cursor_excludes_terms_and_options(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="a cursor contains its query and options: send it without them"):
        query(**values, cursor="x")


def test_number_of_terms_is_limited() -> None:
    assert len(query((FOX,) * MAX_TERMS).terms) == MAX_TERMS
    with pytest.raises(ParameterError, match="at most 32 terms, got 33"):
        query((FOX,) * (MAX_TERMS + 1))


def test_item_becomes_the_first_term() -> None:
    assert query((FOX,)).with_item("a").terms == (Term(id="a"), FOX)
    assert query(cursor="x").with_item("a") == query(cursor="x")


@given(present=st.none() | conditions, added=conditions)
def test_added_condition_is_found_again(present: dict[str, int] | None, added: dict[str, int]) -> None:
    options = Options(filter=None if present is None else Filter.parse(present))
    narrowed = query((FOX,), options).with_condition(added).options
    assert has_condition(narrowed, added)
    assert has_condition(options, added) == (present == added)
    assert narrowed.filter is not None
    assert narrowed.filter.data == (added if present is None else {"and": [present, added]})
    assert query(cursor="x").with_condition(added) == query(cursor="x")


def test_no_conditions_change_nothing() -> None:
    options = Options(filter=Filter.parse({"seed": 1}))
    assert add_conditions(options, []) is options
    assert not has_condition(Options(), {"seed": 1})
