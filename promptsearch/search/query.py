"""A query as a client sends it: terms and options, or a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import NO_TERMS, OPTIONS, Options
from promptsearch.search.parameters import DEFAULT_LIMIT, Meaning, Parameter, declared_by
from promptsearch.search.ranking import MAX_PLACES
from promptsearch.search.terms import MAX_TERMS, NEGATIVE, Term


@dataclass(frozen=True)
class Query:
    """Terms, a filter or both; or else a cursor, which contains its query and options."""

    terms: tuple[Term, ...]
    options: Options
    words: str | None = None  # in modes keyword and hybrid
    cursor: Annotated[str | None, Meaning("`next` of a response, instead of a query.")] = None
    collection: Annotated[str | None, Meaning("Required if several are served and none is the default.")] = None
    limit: Annotated[int, Meaning("Results per page.", least=1, greatest=MAX_PLACES)] = DEFAULT_LIMIT
    include: Annotated[Literal["vector"] | None, Meaning("Also return each result's vector.")] = None
    explain: Annotated[bool, Meaning("Also return how long each stage took.")] = False

    def __post_init__(self) -> None:
        """Raise ParameterError for a cursor with a query, and for too many terms."""
        if self.cursor is not None and (self.terms or self.options != Options()):
            raise ParameterError("a cursor contains its query and options: send it without them")
        if len(self.terms) > MAX_TERMS:
            raise ParameterError(f"a query must have at most {MAX_TERMS} terms, got {len(self.terms)}")

    @property
    def with_vectors(self) -> bool:
        """Return whether results contain their vectors."""
        return self.include == "vector"

    def require_terms(self) -> Query:
        """Return self. Raises EmptyQuery if there are no terms, filter, sort or cursor."""
        if not self.terms and self.cursor is None and self.options.filter is None and self.options.sort is None:
            raise EmptyQuery(NO_TERMS)
        return self

    def with_item(self, id: str) -> Query:
        """Return the query with an item as its first term; a cursor unchanged."""
        return self if self.cursor is not None else replace(self, terms=(Term(id=id), *self.terms))

    def with_condition(self, condition: Mapping[str, Any]) -> Query:
        """Return the query with one more condition in its filter; a cursor unchanged."""
        return self if self.cursor is not None else replace(self, options=add_conditions(self.options, [condition]))


# The parameters that `build_terms` turns into a query's terms; Python and HTTP have different types for them.
_TERMS = {
    "q": "What the picture or prompt means.",
    "negative": f"What results should not mean: a term of weight {NEGATIVE}.",
    "image": "A picture that results should be like.",
    "terms": "Texts, pictures, ids and vectors with weights.",
}

# All parameters of a search, by name.
PARAMETERS: Mapping[str, Parameter] = {
    **{name: Parameter(name, Any, None, Meaning(description)) for name, description in _TERMS.items()},
    **OPTIONS,
    **declared_by(Query),
}


def blank_to_none(text: str | None) -> str | None:
    """Return the text; None if it is empty or blank."""
    return text if text and text.strip() else None


def build_terms(
    q: str | None, pictures: Iterable[bytes], terms: Iterable[Term], negative: str | None
) -> tuple[Term, ...]:
    """Return all terms of a query, in the same order for every kind of request."""
    first = [] if blank_to_none(q) is None else [Term(text=q)]
    last = [] if blank_to_none(negative) is None else [Term(text=negative, weight=NEGATIVE)]
    return (*first, *(Term(picture=picture) for picture in pictures), *terms, *last)


def has_condition(options: Options, condition: Mapping[str, Any]) -> bool:
    """Return whether `Query.with_condition` has added this condition to the options."""
    if options.filter is None:
        return False
    present, wanted = options.filter.data, Filter.parse(condition).data
    return bool(present == wanted or wanted in present.get("and", ()))


def add_conditions(options: Options, conditions: Sequence[Mapping[str, Any]]) -> Options:
    """Return the options with further conditions in their filter. Raises ParameterError."""
    if not conditions:
        return options
    parts = [*([] if options.filter is None else [options.filter.data]), *conditions]
    return replace(options, filter=Filter.parse(parts[0] if len(parts) == 1 else {"and": parts}))
