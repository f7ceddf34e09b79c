"""The plan of a query: all decisions, made once and before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

from promptsearch.engines.stages import Stage
from promptsearch.errors import CursorError
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Options
from promptsearch.search.query import Query, has_condition
from promptsearch.search.terms import Term
from promptsearch.storage.manifest import Kind

from ..access.admission import Work
from ..catalogue.catalogue import Catalogue, Served
from ..catalogue.reloader import Reloader
from ..inference.batching import Vector
from ..responses.response_builder import CachedResponse, ResponseBuilder

# Writes the response of the ranking that a cursor begins, with these notes. It runs in a thread.
Write = Callable[[Cursor, Sequence[str], Stage], CachedResponse]

_OTHER_SEARCH = "this cursor continues another search; pass `next` to the URL that returned it"


@dataclass(frozen=True)
class Source:
    """The version of a collection that a query reads and, on a later page, the cursor that continues in it."""

    served: Served
    cursor: Cursor | None


@dataclass(frozen=True)
class Plan:
    """One search, ready to run.

    `work` is its class of work for admission. `key` is all that its response depends on, or None if the response is
    not cached.
    """

    source: Source
    kind: Kind
    query: Query
    work: Work
    write: Write
    key: Hashable | None

    @property
    def served(self) -> Served:
        """Return the version that is searched."""
        return self.source.served

    @property
    def single_text(self) -> str | None:
        """Return the text of a query of nothing else, if its search may follow in the thread that encodes it."""
        terms = self.query.terms
        return terms[0].text if len(terms) == 1 and self.work == "text" and not self.query.explain else None

    def begin(self, vectors: Sequence[Vector | None]) -> Cursor:
        """Return where the ranking begins, given a unit vector for each term that is a text or picture.

        Raises the errors of queries, UnknownItem and NoVectors.
        """
        if self.source.cursor is not None:
            return self.source.cursor
        query = self.query
        return self.served.collection.begin(self.kind, query.terms, vectors, query.options, query.words)


class Planner:
    """Makes plans, and refuses every query that can be refused without computing anything."""

    def __init__(self, catalogue: Catalogue, reloader: Reloader) -> None:
        self._catalogue = catalogue
        self._reloader = reloader

    @property
    def _named(self) -> bool:
        """Return whether item URLs have to name their collection."""
        return len(self._catalogue.served) > 1

    async def source(self, query: Query) -> Source:
        """Return the version that a query reads: the current one, or that in which its cursor began.

        Raises UnknownCollection, ParameterError, CursorError and VersionPending.
        """
        served = self._catalogue[query.collection]
        if query.cursor is None:
            return Source(served, None)
        cursor = Cursor.decode(query.cursor)
        return Source(await self._reloader.find(served, cursor.version), cursor)

    def search(self, kind: Kind, query: Query, source: Source) -> Plan:
        """Return the plan of a search; raises CursorError, ParameterError and NoVectors."""
        served, cursor = source.served, source.cursor
        if cursor is None:
            query.options.check(kind)
            served.collection.index("images" if query.options.via else kind)
        elif cursor.search.kind != kind:
            other = cursor.search.kind
            raise CursorError(f"this cursor continues a search for {other}: send it to /search/{other}")
        named = self._named
        key = (served.revision, named, kind, query.terms, query.options, query.words, query.cursor, query.limit,
               query.include)  # fmt: skip
        cached = not query.explain and all(term.picture is None for term in query.terms)
        write = partial(_write_page, served, query, named)
        return Plan(source, kind, query, work_of(query.terms), write, key if cached else None)

    def similar(self, kind: Kind, id: str, row: int, query: Query, source: Source) -> Plan:
        """Return the plan of a search for what is like the item of this id and row; raises as `search` does."""
        if source.cursor is not None and row not in source.cursor.search.exclude:
            raise CursorError(_OTHER_SEARCH)
        return self.search(kind, query.with_item(id), source)

    def images_of_prompt(self, prompt: str, query: Query, source: Source) -> Plan:
        """Return the plan of a search among the images of the prompt of this text; raises as `search` does."""
        condition = {"prompt": prompt}
        if source.cursor is not None and not has_condition(source.cursor.search.options, condition):
            raise CursorError(_OTHER_SEARCH)
        return self.search("images", query.with_condition(condition), source)

    def nearest(
        self, served: Served, kind: Kind, term: Term, write: Write, depends_on: Hashable, *, deep: bool
    ) -> Plan:
        """Return the plan of what `write` writes about the ranking for one term; raises NoVectors.

        `depends_on` is what the response depends on besides the ranking. `deep` marks a ranking of many places.
        """
        served.collection.index(kind)
        query = Query((term,), Options(), collection=served.name)
        key = None if term.picture is not None else (served.revision, self._named, kind, term, depends_on)
        return Plan(Source(served, None), kind, query, "deep" if deep else work_of([term]), write, key)


def work_of(terms: Sequence[Term]) -> Work:
    """Return the class of work that these terms need: that of the most expensive one."""
    if any(term.picture is not None for term in terms):
        return "picture"
    return "text" if any(term.text is not None for term in terms) else "search"


def _write_page(
    served: Served, query: Query, named: bool, cursor: Cursor, notes: Sequence[str], stage: Stage
) -> CachedResponse:
    page = served.collection.page(cursor, query.limit, stage)
    with stage("store"):
        builder = ResponseBuilder(served, named=named)
        return builder.page(cursor.search.kind, page, notes, with_vectors=query.with_vectors)
