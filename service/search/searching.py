"""A query to a page of answers: decode, encode, search, re-score, read the store.

Each request first finds out whether its answer is known or under way. If not, it is admitted or refused, and its steps
wait for nothing but a thread: the text's or picture's vector from a batcher, the rest in one go from a worker, or from
the batcher's own thread where nobody waits for that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.warnings import truncation_warning
from promptsearch.errors import CursorError
from promptsearch.search.cursor import Cursor
from promptsearch.search.query import Query, has_condition
from promptsearch.search.terms import Term
from promptsearch.storage.manifest import Kind

from ..access.admission import Admission, Work
from ..catalogue.catalogue import CHECK_TEXT, Catalogue, Served
from ..catalogue.reloading import Reloading
from ..inference.batching import Encoding, Vector
from ..inference.workers import Workers
from ..ops.metrics import Metrics
from ..responses.answers import Answer, Answers
from ..settings import Settings
from .cache import Cache
from .cancel_on_disconnect import while_connected
from .timing import Timing

T = TypeVar("T")

_OTHER_SEARCH = "this cursor continues another search; pass `next` to the address that gave it"


@dataclass(frozen=True)
class Embedded:
    """Vectors alone, float32 [embedding_dim] each."""

    bundle: Bundle
    vectors: Sequence[Vector | None]
    notes: Sequence[str]


class Searching:
    """All that one process computes. Its methods raise what is listed for queries in `promptsearch/errors.py`, and
    Overloaded."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, reloading: Reloading, workers: Workers, metrics: Metrics
    ) -> None:
        self._catalogue = catalogue
        self._reloading = reloading
        self._workers = workers
        self._metrics = metrics
        self._max_pixels = settings.max_pixels
        self._admission = Admission(settings.queue, settings.deadline, metrics)
        share = settings.cache_bytes // 4
        self._vectors: Cache[tuple[Vector, bool]] = Cache("vectors", share, lambda found: found[0].nbytes, metrics)
        self._answers: Cache[Answer] = Cache("answers", settings.cache_bytes - share, len, metrics)
        self._encodings: dict[Encoders, Encoding] = {}

    def require_room(self, work: Work = "search", before: int = 0) -> None:
        """Raises Overloaded where `work`, or by default whatever it is, would not be taken now: before a body is read,
        or anything else is done that would be for nothing. `before` others will ask for as much before it does."""
        self._admission.check(work, before)

    async def search(self, request: Request, kind: Kind, query: Query) -> bytes:
        """The JSON of the page that `query` asks for."""
        started = time.perf_counter()
        served = self._catalogue[query.collection]
        timing = Timing(self._metrics)
        work: Work
        if query.cursor is not None:
            cursor = Cursor.decode(query.cursor)
            if cursor.search.kind != kind:
                other = cursor.search.kind
                raise CursorError(f"this cursor continues a search for {other}: send it to /search/{other}")
            served, work = await self._reloading.find(served, cursor.version), "search"
        else:
            query.options.check(kind)
            served.collection.index("images" if query.options.via else kind)  # before anything is encoded
            work = _work(query.terms)

        async def compute() -> Answer:
            if query.cursor is not None:
                return await self._answer(served, lambda: cursor, query, timing)

            def first(vectors: Sequence[Vector | None]) -> Cursor:
                return served.collection.begin(kind, query.terms, vectors, query.options, query.words)

            if len(query.terms) == 1 and query.terms[0].text is not None and not query.explain:
                return await self._of_one_text(served, query.terms[0].text, first, query, timing)
            vectors, notes = await self._vectors_of(served, query.terms, timing)
            return await self._answer(served, lambda: first(vectors), query, timing, notes)

        if query.explain or any(term.picture is not None for term in query.terms):
            answer = await while_connected(request, self._admission.run(work, compute))
        else:
            key = (served.revision, kind, query.terms, query.options, query.words, query.cursor, query.limit,
                   query.with_vectors)  # fmt: skip
            answer = await self._once(request, key, work, compute)
        return answer.json(1000 * (time.perf_counter() - started), timing.milliseconds if query.explain else None)

    async def similar(self, request: Request, kind: Kind, id: str, query: Query) -> bytes:
        """The JSON of what is nearest to one item of the collection."""
        served, cursor = await self._continued(query)
        items = served.collection.items
        row = await self.item(request, lambda: (items.image(id) if kind == "images" else items.prompt(id)).row)
        if cursor is not None and row not in cursor.search.exclude:
            raise CursorError(_OTHER_SEARCH)
        return await self.search(request, kind, query.with_item(id))

    async def of_prompt(self, request: Request, id: str, query: Query) -> bytes:
        """The JSON of the images of one prompt."""
        served, cursor = await self._continued(query)
        items = served.collection.items
        prompt = await self.item(request, lambda: items.prompt(id))
        condition = {"prompt": prompt.text}
        if cursor is not None and not has_condition(cursor.search.options, condition):
            raise CursorError(_OTHER_SEARCH)
        return await self.search(request, "images", query.with_condition(condition))

    async def _continued(self, query: Query) -> tuple[Served, Cursor | None]:
        """What a query is asked of: where it goes on, the version that it began with."""
        served = self._catalogue[query.collection]
        if query.cursor is None:
            return served, None
        cursor = Cursor.decode(query.cursor)
        return await self._reloading.find(served, cursor.version), cursor

    async def nearest(
        self,
        request: Request,
        served: Served,
        kind: Kind,
        term: Term,
        write: Callable[[Cursor, Timing], bytes],
        how: tuple[Hashable, ...],
        *,
        deep: bool,
    ) -> bytes:
        """What `write` makes, in a worker, of where the ranking for one term begins; `deep` where that is long.

        It is kept, unless the term is a picture. `how` is what it depends on besides its ranking.
        """
        served.collection.index(kind)  # before anything is encoded
        timing = Timing(self._metrics)
        work: Work = "deep" if deep else _work([term])

        async def compute() -> Answer:
            vectors, _ = await self._vectors_of(served, [term], timing)
            begin = served.collection.begin
            return Answer(await self._workers.run(lambda: write(begin(kind, [term], vectors), timing)), b"")

        if term.picture is not None:
            answer = await while_connected(request, self._admission.run(work, compute))
        else:
            answer = await self._once(request, (served.revision, kind, term, how), work, compute)
        return answer.before

    async def embed(self, request: Request, collection: str | None, terms: Sequence[Term]) -> Embedded:
        """The unit vector of each text and picture, and what should be known of them."""
        served = self._catalogue[collection]
        timing = Timing(self._metrics)
        work = _work(terms)
        vectors, notes = await while_connected(
            request, self._admission.run(work, lambda: self._vectors_of(served, terms, timing))
        )
        return Embedded(served.encoders.bundle, vectors, notes)

    async def item(self, request: Request, work: Callable[[], T]) -> T:
        """What `work`, which reads one item, returns."""
        return await while_connected(request, self._admission.run("item", lambda: self._workers.run(work)))

    async def check(self) -> None:
        """Encode and search once in each collection, in no queue; raises what goes wrong."""
        for served in self._catalogue.served.values():
            vector, _ = await self._encoding(served.encoders).text(CHECK_TEXT)
            await self._workers.run(lambda served=served, vector=vector: served.check(vector))  # type: ignore[misc]

    async def _once(
        self, request: Request, key: tuple[object, ...], work: Work, compute: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """The answer that is kept, or else computed, for all that ask the same now."""
        key = (*key, len(self._catalogue.served) > 1)
        found = self._answers.get(key)
        if found is not None:
            return found
        if not self._answers.is_under_way(key):
            self._admission.check(work)  # before tasks are made that would be for nothing
        computing = self._answers.compute(key, lambda: self._admission.run(work, compute))
        return await while_connected(request, computing)

    async def _of_one_text(
        self,
        served: Served,
        text: str,
        first: Callable[[Sequence[Vector | None]], Cursor],
        query: Query,
        timing: Timing,
    ) -> Answer:
        """What is asked most often: the search follows on the encoding, without a way through the event loop."""
        encoders, answer = served.encoders, Future[Answer]()

        def work(vector: Vector, cut: bool) -> Answer:
            return self._page(served, first([vector]), query, timing, _notes(encoders, text, cut))

        def ahead(vector: Vector, cut: bool) -> None:
            try:
                answer.set_result(work(vector, cut))
            except Exception as error:  # another that waits for the same vector has no part in it
                answer.set_exception(error)

        vector, cut = await self._of_text(encoders, text, ahead)
        if answer.done():
            return answer.result()
        return await self._workers.run(lambda: work(vector, cut))  # the vector was known, or asked for by another

    async def _answer(
        self, served: Served, begin: Callable[[], Cursor], query: Query, timing: Timing, notes: Sequence[str] = ()
    ) -> Answer:
        return await self._workers.run(lambda: self._page(served, begin(), query, timing, notes))

    def _page(self, served: Served, cursor: Cursor, query: Query, timing: Timing, notes: Sequence[str]) -> Answer:
        """In a thread: what is searched for, and read from the store."""
        answers = Answers(served, named=len(self._catalogue.served) > 1)
        found = served.collection.page(cursor, query.limit, timing)
        with timing("store"):
            return answers.page(cursor.search.kind, found, notes, with_vectors=query.with_vectors)

    async def _vectors_of(
        self, served: Served, terms: Sequence[Term], timing: Timing
    ) -> tuple[list[Vector | None], list[str]]:
        """The vector of each term, all encoded at once, and what should be known of them."""
        one_by_one = (self._vector(served, term, timing) for term in terms)
        # A task for each is worth its time only where there are others.
        found = [await next(one_by_one)] if len(terms) == 1 else await asyncio.gather(*one_by_one)
        notes = [note for _, notes in found for note in notes]
        return [vector for vector, _ in found], list(dict.fromkeys(notes))

    async def _vector(self, served: Served, term: Term, timing: Timing) -> tuple[Vector | None, list[str]]:
        """float32 [embedding_dim], or None for an item of the collection, and what should be known of it."""
        encoders = served.encoders
        if term.text is not None:
            with timing.waiting("encode"):
                vector, cut = await self._of_text(encoders, term.text)
                return vector, _notes(encoders, term.text, cut)
        if term.picture is not None:
            picture = term.picture
            pixels = await self._workers.run(lambda: self._decode(encoders, picture, timing))
            with timing.waiting("encode"):
                return await self._encoding(encoders).picture(pixels), []
        return None, []

    async def _of_text(
        self, encoders: Encoders, text: str, then: Callable[[Vector, bool], None] | None = None
    ) -> tuple[Vector, bool]:
        """The vector, and whether the text was too long. `then` has been given both if the text was encoded for it."""
        key = (encoders.bundle.identity, text)
        found = self._vectors.get(key)
        if found is None:
            found = await self._vectors.compute(key, lambda: self._encoding(encoders).text(text, then))
        return found

    def _decode(self, encoders: Encoders, picture: bytes, timing: Timing) -> NDArray[np.float32]:
        """What the image encoder takes, float32 [3, size, size]."""
        spec = encoders.preprocessing.spec
        with timing("decode"):
            return encoders.preprocessing(
                open_picture(picture, max_pixels=self._max_pixels, background=spec.background, shorter_side=spec.size)
            )

    def _encoding(self, encoders: Encoders) -> Encoding:
        found = self._encodings.get(encoders)
        if found is None:  # at the start, and after a reload with another model: then the one before may be given up
            used = self._catalogue.encoders()
            self._encodings = {known: encoding for known, encoding in self._encodings.items() if known in used}
            found = self._encodings[encoders] = Encoding(encoders, self._metrics, self._workers)
        return found


def _notes(encoders: Encoders, text: str, cut: bool) -> list[str]:
    return [truncation_warning(text, encoders.tokenizer.spec.context_length)] if cut else []


def _work(terms: Sequence[Term]) -> Work:
    """What kind of work the terms make, by the dearest of them."""
    if any(term.picture is not None for term in terms):
        return "picture"
    return "text" if any(term.text is not None for term in terms) else "search"
