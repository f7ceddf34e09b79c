"""The terms of a query as vectors: texts and pictures are encoded in batches, and texts are cached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.warnings import truncation_warning
from promptsearch.search.terms import Term

from ..catalogue.catalogue import Catalogue
from ..inference.batching import BatchedEncoders, Vector
from ..inference.decoder import Decoder
from ..inference.search_threads import SearchThreads
from ..ops.metrics import Metrics
from .cache import Cache
from .timing import Timing

T = TypeVar("T")

EncodedText = tuple[Vector, bool]  # the unit vector, float32 [embedding_dim], and whether the text was truncated


class TermEncoder:
    """Encodes for all models that are served; for the event loop alone."""

    def __init__(
        self, cache_bytes: int, decoder: Decoder, catalogue: Catalogue, threads: SearchThreads, metrics: Metrics
    ) -> None:
        """Cache vectors of texts in `cache_bytes`, and decode pictures with `decoder`."""
        self._decoder = decoder
        self._catalogue = catalogue
        self._threads = threads
        self._metrics = metrics
        self._texts: Cache[EncodedText] = Cache("vectors", cache_bytes, lambda encoded: encoded[0].nbytes, metrics)
        self._batched: dict[Encoders, BatchedEncoders] = {}

    async def encode(
        self, encoders: Encoders, terms: Sequence[Term], timing: Timing
    ) -> tuple[list[Vector | None], list[str]]:
        """Return the vector of each term, all encoded at once, and the notes on them.

        A vector is float32 [embedding_dim] of unit length, or None if the term is an item or a vector. Raises
        PictureError.
        """
        if len(terms) == 1:  # without a task
            encoded = [await self._term(encoders, terms[0], timing)]
        else:
            encoded = await asyncio.gather(*(self._term(encoders, term, timing) for term in terms))
        notes = [note for _, notes in encoded for note in notes]
        return [vector for vector, _ in encoded], list(dict.fromkeys(notes))

    async def encode_then(self, encoders: Encoders, text: str, work: Callable[[Vector, list[str]], T]) -> T:
        """Return what `work`, given a text's vector and the notes on it, returns in a thread.

        This is the fast path of a lone text: if no other request waits for the encoder, its thread also does the work,
        without a detour through the event loop.
        """
        result: Future[T] = Future()
        vector, truncated = await self._text(encoders, text, partial(_fulfil, result, encoders, text, work))
        if result.done():
            return result.result()
        # The vector was cached, or encoded for another request.
        return await self._threads.run(lambda: work(vector, _notes(encoders, text, truncated)))

    async def encode_uncached(self, encoders: Encoders, text: str) -> Vector:
        """Return the unit vector of a text, float32 [embedding_dim], from the encoder itself."""
        vector, _ = await self._batched_encoders(encoders).text(text)
        return vector

    async def _term(self, encoders: Encoders, term: Term, timing: Timing) -> tuple[Vector | None, list[str]]:
        if term.text is not None:
            with timing.waiting("encode"):
                vector, truncated = await self._text(encoders, term.text)
                return vector, _notes(encoders, term.text, truncated)
        if term.picture is not None:
            pixels = await self._decoder.pixels(term.picture, encoders.preprocessing, timing)
            with timing.waiting("encode"):
                return await self._batched_encoders(encoders).picture(pixels), []
        return None, []

    async def _text(
        self, encoders: Encoders, text: str, then: Callable[[Vector, bool], None] | None = None
    ) -> EncodedText:
        """Return an encoded text. `then` is called with it only if it was encoded for this call."""
        key = (encoders.bundle.identity, text)
        cached = self._texts.get(key)
        if cached is not None:
            return cached
        return await self._texts.compute(key, lambda: self._batched_encoders(encoders).text(text, then))

    def _batched_encoders(self, encoders: Encoders) -> BatchedEncoders:
        batched = self._batched.get(encoders)
        if batched is None:  # at the start, and after a reload with another model: unused models are released
            used = self._catalogue.encoders()
            self._batched = {known: batched for known, batched in self._batched.items() if known in used}
            batched = self._batched[encoders] = BatchedEncoders(encoders, self._metrics, self._threads)
        return batched


def _fulfil(
    result: Future[T],
    encoders: Encoders,
    text: str,
    work: Callable[[Vector, list[str]], T],
    vector: Vector,
    truncated: bool,
) -> None:
    try:
        result.set_result(work(vector, _notes(encoders, text, truncated)))
    except Exception as error:  # belongs to this request alone, not to others that wait for the same vector
        result.set_exception(error)


def _notes(encoders: Encoders, text: str, truncated: bool) -> list[str]:
    return [truncation_warning(text, encoders.tokenizer.spec.context_length)] if truncated else []
