"""Searches, from a parsed query to the JSON of its response: plan, run, respond."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.requests import Request

from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import ArtefactError, one_line
from promptsearch.search.query import Query
from promptsearch.search.terms import Term
from promptsearch.storage.manifest import Kind

from ..access.admission import Admission, Work
from ..catalogue.catalogue import CHECK_TEXT, Catalogue, Served
from ..catalogue.reloader import Reloader
from ..inference.batching import Vector
from ..inference.decoder import Decoder
from ..inference.search_threads import SearchThreads
from ..ops.metrics import Metrics
from ..responses.response_builder import CachedResponse
from ..settings import Settings
from .plan import Plan, Planner, work_of
from .runner import Runner
from .term_encoder import TermEncoder
from .timing import Timing

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Embedded:
    """Unit vectors, float32 [embedding_dim] each, and the model that they belong to."""

    bundle: Bundle
    vectors: Sequence[Vector | None]
    notes: Sequence[str]


class SearchService:
    """Everything that one process computes. Its methods raise the errors of queries and Overloaded."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, reloader: Reloader, threads: SearchThreads, metrics: Metrics
    ) -> None:
        self.planner = Planner(catalogue, reloader)
        self._catalogue = catalogue
        self._threads = threads
        self._metrics = metrics
        self._admission = Admission(settings.queue, settings.deadline, metrics)
        for_vectors = settings.cache_bytes // 4
        decoder = Decoder(settings.max_pixels, settings.decode_memory, settings.deadline, settings.workers)
        self._encoder = TermEncoder(for_vectors, decoder, catalogue, threads, metrics)
        self._runner = Runner(self._admission, settings.cache_bytes - for_vectors, metrics)

    def require_room(self, work: Work = "search", before: int = 0) -> None:
        """Raise Overloaded if `work` would be refused now, so that its body need not be read.

        `before`: requests of the same class that are queued ahead.
        """
        self._admission.check(work, before)

    async def search(self, request: Request, kind: Kind, query: Query) -> bytes:
        """Return the JSON of a query's page."""
        timing = Timing(self._metrics)
        plan = self.planner.search(kind, query, await self.planner.source(query))
        return await self._respond(request, plan, timing)

    async def similar(self, request: Request, kind: Kind, id: str, query: Query) -> bytes:
        """Return the JSON of the items nearest to one item of the collection."""
        timing = Timing(self._metrics)
        source = await self.planner.source(query)
        served, items = source.served, source.served.collection.items
        row = await self.read(request, served, lambda: (items.image(id) if kind == "images" else items.prompt(id)).row)
        return await self._respond(request, self.planner.similar(kind, id, row, query, source), timing)

    async def images_of_prompt(self, request: Request, id: str, query: Query) -> bytes:
        """Return the JSON of the images of one prompt."""
        timing = Timing(self._metrics)
        source = await self.planner.source(query)
        served = source.served
        prompt = await self.read(request, served, lambda: served.collection.items.prompt(id))
        return await self._respond(request, self.planner.images_of_prompt(prompt.text, query, source), timing)

    async def run(self, request: Request, plan: Plan, timing: Timing | None = None) -> CachedResponse:
        """Return the response of a plan: cached, shared with others that wait for it, or computed."""
        compute = partial(self._compute, plan, timing or Timing(self._metrics))
        with self._reporting(plan.served):
            return await self._runner.run_once(request, plan.key, plan.work, compute)

    async def embed(self, request: Request, collection: str | None, terms: Sequence[Term]) -> Embedded:
        """Return the vectors of texts and pictures by the model of a collection."""
        served, timing = self._catalogue[collection], Timing(self._metrics)
        encode = partial(self._encoder.encode, served.encoders, terms, timing)
        with self._reporting(served):
            vectors, notes = await self._runner.run(request, work_of(terms), encode)
        return Embedded(served.encoders.bundle, vectors, notes)

    async def read(self, request: Request, served: Served, work: Callable[[], T]) -> T:
        """Return what `work`, which reads one item of a version, returns in a thread."""
        with self._reporting(served):
            return await self._runner.run(request, "item", lambda: self._threads.run(work))

    async def check(self) -> dict[str, str]:
        """Encode and search once in each collection, outside admission; return what goes wrong by collection."""
        failures = {}
        for served in self._catalogue.served.values():
            try:
                vector = await self._encoder.encode_uncached(served.encoders, CHECK_TEXT)
                await self._threads.run(partial(served.check, vector))
            except Exception as error:
                if not isinstance(error, ArtefactError):  # those are expected, and their messages complete
                    log.exception("the self-check of collection %s failed", served.name)
                failures[served.name] = one_line(error)
                self._catalogue.report(served, error)
            else:
                self._catalogue.report(served, None)
        return failures

    @contextmanager
    def _reporting(self, served: Served) -> Iterator[None]:
        """Report a fault of the version or its model, which is none of the request."""
        try:
            yield
        except ArtefactError as error:
            self._catalogue.report(served, error)
            raise

    async def _respond(self, request: Request, plan: Plan, timing: Timing) -> bytes:
        response = await self.run(request, plan, timing)
        return response.json(timing.elapsed, timing.milliseconds if plan.query.explain else None)

    async def _compute(self, plan: Plan, timing: Timing) -> CachedResponse:
        encoders, text = plan.served.encoders, plan.single_text

        def write(vectors: Sequence[Vector | None], notes: Sequence[str]) -> CachedResponse:
            return plan.write(plan.begin(vectors), notes, timing)

        if text is not None:
            return await self._encoder.encode_then(encoders, text, lambda vector, notes: write([vector], notes))
        vectors, notes = await self._encoder.encode(encoders, plan.query.terms, timing)
        return await self._threads.run(lambda: write(vectors, notes))
