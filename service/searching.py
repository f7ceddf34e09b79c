"""A query to a page of answers: decode, encode, search, re-score, read the store.

Each request first finds out whether its answer is known or under way. If not, it is admitted or refused, and its steps
wait for nothing but a thread: the text's or picture's vector from a batcher, the rest in one go from a worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from promptsearch.collection import Page
from promptsearch.cursor import Cursor
from promptsearch.encoders import Encoders, unit
from promptsearch.errors import CursorError
from promptsearch.manifest import Kind
from promptsearch.picture import open_picture
from service.admission import Admission, Work
from service.answers import Answer, Answers
from service.batching import Encoding, Vector
from service.cache import Cache
from service.catalogue import CHECK_TEXT, Catalogue, Served
from service.departures import while_connected
from service.metrics import Metrics
from service.query import Query
from service.settings import Settings
from service.workers import Workers

T = TypeVar("T")


class Searching:
    """All that one process computes. Its methods raise what is listed for queries in `promptsearch/errors.py`, and
    Overloaded."""

    def __init__(self, settings: Settings, catalogue: Catalogue, workers: Workers, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._workers = workers
        self._metrics = metrics
        self._max_pixels = settings.max_pixels
        self._admission = Admission(settings.queue, settings.deadline, metrics)
        share = settings.cache_bytes // 4
        self._vectors: Cache[Vector] = Cache("vectors", share, lambda vector: vector.nbytes, metrics)
        self._answers: Cache[Answer] = Cache("answers", settings.cache_bytes - share, len, metrics)
        self._encodings: dict[Encoders, Encoding] = {}

    def require_room(self) -> None:
        """Raises Overloaded where nothing would be taken now: before a body is read that would be for nothing."""
        self._admission.check("search")

    async def search(self, request: Request, kind: Kind, query: Query) -> bytes:
        """The JSON of the page that `query` asks for."""
        started = time.perf_counter()
        served = self._catalogue[query.collection]
        if query.cursor is not None:
            cursor = Cursor.decode(query.cursor)
            if cursor.kind != kind:
                raise CursorError(f"this cursor continues a search for {cursor.kind}: send it to /search/{cursor.kind}")
            served = self._catalogue.version(served, cursor.version)
            work: Work = "search"
        else:
            served.collection.index(kind)  # before anything is encoded
            work = "text" if query.picture is None else "picture"

        async def compute() -> Answer:
            if query.cursor is not None:
                return await self._answer(served, kind, lambda: self._page(served, cursor, query.limit))
            vector = await self._vector(served.encoders, query)
            first = Cursor(kind, served.collection.version, vector, offset=0, exclude=-1)
            return await self._answer(served, kind, lambda: self._page(served, first, query.limit))

        if query.picture is not None:
            answer = await while_connected(request, self._admission.run(work, compute))
        else:
            answer = await self._once(
                request, (served.revision, kind, query.text, query.cursor, query.limit), work, compute
            )
        return answer.json(1000 * (time.perf_counter() - started))

    async def similar(
        self, request: Request, served: Served, kind: Kind, id: str, cursor: str | None, limit: int
    ) -> bytes:
        """The JSON of what is nearest to one item of the collection."""
        started = time.perf_counter()
        decoded = None if cursor is None else Cursor.decode(cursor)
        if decoded is not None:
            served = self._catalogue.version(served, decoded.version)
        collection = served.collection

        def page() -> Page:
            with self._metrics.stage("store"):
                row = collection.items.image(id).row if kind == "images" else collection.items.prompt(id).row
            if decoded is None:
                return collection.similar(kind, row, limit, self._metrics.stage)
            if (decoded.kind, decoded.exclude) != (kind, row):
                raise CursorError("this cursor continues another search; pass `next` to the address that gave it")
            return self._page(served, decoded, limit)

        key = (served.revision, kind, "similar", id, cursor, limit)
        answer = await self._once(request, key, "search", lambda: self._answer(served, kind, page))
        return answer.json(1000 * (time.perf_counter() - started))

    async def item(self, request: Request, work: Callable[[], T]) -> T:
        """What `work`, which reads one item, returns."""
        return await while_connected(request, self._admission.run("item", lambda: self._workers.run(work)))

    async def check(self) -> None:
        """Encode and search once in each collection, in no queue; raises what goes wrong."""
        for served in self._catalogue.served.values():
            vector = await self._encoding(served.encoders).text(CHECK_TEXT)
            await self._workers.run(lambda served=served, vector=vector: served.check(vector))  # type: ignore[misc]

    async def _once(
        self, request: Request, key: tuple[object, ...], work: Work, compute: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """The answer that is kept, or else computed, for all that ask the same now."""
        key = (*key, len(self._catalogue.served) > 1)
        found = self._answers.get(key)
        if found is not None:
            return found
        computing = self._answers.compute(key, lambda: self._admission.run(work, compute))
        return await while_connected(request, computing)

    async def _answer(self, served: Served, kind: Kind, page: Callable[[], Page]) -> Answer:
        answers = Answers(served, named=len(self._catalogue.served) > 1)

        def work() -> Answer:
            found = page()
            with self._metrics.stage("store"):
                return answers.page(kind, found)

        return await self._workers.run(work)

    def _page(self, served: Served, cursor: Cursor, limit: int) -> Page:
        return served.collection.page(cursor, limit, self._metrics.stage)

    async def _vector(self, encoders: Encoders, query: Query) -> Vector:
        """The unit vector of a text, of a picture, or half way between both; float32 [embedding_dim]."""
        vectors = []
        if query.picture is not None:
            picture = query.picture
            pixels = await self._workers.run(lambda: self._decode(encoders, picture))
            vectors.append(await self._encoding(encoders).picture(pixels))
        if query.text is not None:
            vectors.append(await self._of_text(encoders, query.text))
        return unit(np.sum(vectors, axis=0, dtype=np.float32))

    async def _of_text(self, encoders: Encoders, text: str) -> Vector:
        key = (encoders.bundle.identity, text)
        found = self._vectors.get(key)
        if found is not None:
            return found
        return await self._vectors.compute(key, lambda: self._encoding(encoders).text(text))

    def _decode(self, encoders: Encoders, picture: bytes) -> NDArray[np.float32]:
        """What the image encoder takes, float32 [3, size, size]."""
        spec = encoders.preprocessing.spec
        with self._metrics.stage("decode"):
            return encoders.preprocessing(
                open_picture(picture, max_pixels=self._max_pixels, background=spec.background, shorter_side=spec.size)
            )

    def _encoding(self, encoders: Encoders) -> Encoding:
        found = self._encodings.get(encoders)
        if found is None:  # at the start, and after a reload with another model: then the one before may be given up
            used = self._catalogue.encoders()
            self._encodings = {known: encoding for known, encoding in self._encodings.items() if known in used}
            found = self._encodings[encoders] = Encoding(encoders, self._metrics)
        return found
