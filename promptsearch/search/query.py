"""What is asked, over HTTP, from Python or in a terminal: terms, options or a cursor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import SCORE, Options
from promptsearch.search.terms import MAX_TERMS, NEGATIVE, Term


@dataclass(frozen=True)
class Query:
    """A question: terms or a filter or both, or else a cursor, which stands for itself alone."""

    terms: tuple[Term, ...]
    options: Options
    words: str | None  # of modes keyword and hybrid
    cursor: str | None
    collection: str | None
    limit: int
    with_vectors: bool = False
    explain: bool = False

    def __post_init__(self) -> None:
        """Raises ParameterError."""
        if self.cursor is not None and (self.terms or self.options != Options()):
            raise ParameterError("a cursor carries its query and options: send it without them")
        if len(self.terms) > MAX_TERMS:
            raise ParameterError(f"a query has at most {MAX_TERMS} terms")

    def require_terms(self) -> Query:
        """Itself; raises EmptyQuery where nothing is asked."""
        if not self.terms and self.cursor is None and self.options.filter is None and self.options.sort is None:
            raise EmptyQuery(
                "nothing is asked: send a text as `q`, a picture as `image`, a filter, or several of these"
            )
        return self

    def with_item(self, id: str) -> Query:
        """The same, asked about one item too."""
        return self if self.cursor is not None else replace(self, terms=(Term(id=id), *self.terms))

    def with_condition(self, condition: Mapping[str, Any]) -> Query:
        """The same, of what meets this condition too."""
        return self if self.cursor is not None else replace(self, options=add_conditions(self.options, [condition]))


def blank_to_none(given: str | None) -> str | None:
    """None for what has nothing to search for."""
    return given if given and given.strip() else None


def build_terms(
    q: str | None, pictures: Iterable[bytes], terms: Iterable[Term], negative: str | None
) -> tuple[Term, ...]:
    """All terms of a query, in the order in which every way of asking has them."""
    every = [] if blank_to_none(q) is None else [Term(text=q)]
    every += [Term(picture=picture) for picture in pictures]
    every += terms
    return (*every, *([] if blank_to_none(negative) is None else [Term(text=negative, weight=NEGATIVE)]))


def normalize_sort(given: str | None, mode: str) -> str | None:
    """What to sort by; None for the order that results have anyway, which in mode semantic is by score."""
    if given in (SCORE, f"-{SCORE}"):  # the best first, however it is said
        return None if mode == "semantic" else SCORE
    return given or None


def has_condition(options: Options, condition: Mapping[str, Any]) -> bool:
    """Whether `Query.with_condition` has added this condition to them."""
    if options.filter is None:
        return False
    filter, wanted = json.loads(options.filter.json), json.loads(Filter.parse(condition).json)
    return bool(filter == wanted or wanted in filter.get("and", ()))


def add_conditions(options: Options, conditions: Sequence[Mapping[str, Any]]) -> Options:
    """The same options, of what meets these filters too; raises ParameterError."""
    if not conditions:
        return options
    given = [] if options.filter is None else [json.loads(options.filter.json)]
    every = [*given, *conditions]
    return replace(options, filter=Filter.parse(every[0] if len(every) == 1 else {"and": every}))
