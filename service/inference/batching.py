"""Requests that come together are encoded together, and one that comes alone is not kept waiting.

There is no time to wait for others: a batch is what has queued while the one before was computed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.encoders import IMAGE_BATCH, Encoders
from promptsearch.encoding.tokenizer import Tokenizer

from ..ops.metrics import Metrics
from .workers import Workers, searching_threads

Item = TypeVar("Item")
Vector = NDArray[np.float32]
Then = Callable[[Vector], None]
Encode = Callable[[Sequence[Item]], tuple[Sequence[int], NDArray[np.float32]]]

# Tokens whose arithmetic takes as long as reading the weights, which every batch does once (CLIP ViT-B/32, 2 AVX2
# cores: 10 ms and 0.52 ms a token; it is the machine's FLOPs a byte of bandwidth, so much the same for other models).
READING = 20
MOST_TOKENS = 384  # a batch: 95 % of what the machine can do, and a newcomer waits for no more than that
_LOOKED_AT = 256  # of those that wait, to choose a batch from


class Batcher(Generic[Item]):
    """A thread of its own that encodes. `encode` is given items, oldest first, and returns which of them (at least
    one) it has encoded, and their vectors, float32 [n, embedding_dim]; the rest comes again."""

    def __init__(self, name: str, encode: Encode[Item], workers: Workers) -> None:
        self._encode = encode
        self._workers = workers
        self._thread = searching_threads(1, name)
        self._waiting: dict[asyncio.Future[Vector], Asked[Item]] = {}
        self._running: asyncio.Task[None] | None = None

    async def vector(self, item: Item, then: Then | None = None) -> Vector:
        """The unit vector of one item, float32 [embedding_dim]. A caller that is cancelled gives up its place.

        `then`, which raises nothing, has been given the vector by that time. It is called where the way is shortest:
        by the encoder's own thread where nobody waits for that, else by a worker.
        """
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self._waiting[future] = Asked(item, then)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = list(islice(self._waiting.items(), _LOOKED_AT))
                try:
                    encoded, done = await loop.run_in_executor(self._thread, self._go, batch, loop)
                except Exception as error:  # is each of theirs, and the next batch has its own chance
                    for future, _ in batch:
                        self._waiting.pop(future, None)
                        if not future.done():
                            future.set_exception(error)
                else:
                    for future in encoded:
                        self._waiting.pop(future, None)
                    for future, vector in done:
                        _land(future, vector)
        finally:
            self._running = None

    def _go(
        self, batch: Sequence[tuple[asyncio.Future[Vector], Asked[Item]]], loop: asyncio.AbstractEventLoop
    ) -> tuple[list[asyncio.Future[Vector]], list[tuple[asyncio.Future[Vector], Vector]]]:
        """In the thread: what is encoded, and of that what nothing more has to be done for."""
        encoded, done = [], []
        for index, vector in zip(*self._encode([asked.item for _, asked in batch]), strict=True):
            future, asked = batch[index]
            encoded.append(future)
            if asked.then is None:
                done.append((future, vector))
            elif len(self._waiting) == 1:  # nobody has come meanwhile
                asked.then(vector)
                done.append((future, vector))
            else:
                self._workers.submit(partial(_go_on, future, vector, asked.then, loop))
        return encoded, done


@dataclass(frozen=True)
class Asked(Generic[Item]):
    item: Item
    then: Then | None


def _go_on(future: asyncio.Future[Vector], vector: Vector, then: Then, loop: asyncio.AbstractEventLoop) -> None:
    if not future.cancelled():
        then(vector)
        loop.call_soon_threadsafe(_land, future, vector)


def _land(future: asyncio.Future[Vector], vector: Vector) -> None:
    if not future.done():  # else the caller has left
        future.set_result(vector)


class Text:
    """A text on its way to a vector; its tokens are kept from when they were first needed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ids: list[int] | None = None
        self.cut = False  # known once it has tokens

    def ids(self, tokenizer: Tokenizer) -> list[int]:
        if self._ids is None:
            self._ids, self.cut = tokenizer.read(self._text)
        return self._ids


class Encoding:
    """One model's two encoders, each behind a batcher."""

    def __init__(self, encoders: Encoders, metrics: Metrics, workers: Workers) -> None:
        self._encoders = encoders
        self._metrics = metrics
        self._texts: Batcher[Text] = Batcher("texts", self._encode_texts, workers)
        self._pictures: Batcher[NDArray[np.float32]] = Batcher("pictures", self._encode_pictures, workers)

    async def text(self, text: str, then: Callable[[Vector, bool], None] | None = None) -> tuple[Vector, bool]:
        """The unit vector of a text, float32 [embedding_dim], and whether the text was too long for the model.

        `then` is given both, see `Batcher.vector`.
        """
        asked = Text(text)
        goes_on = None if then is None else lambda vector: then(vector, asked.cut)
        return await self._texts.vector(asked, goes_on), asked.cut

    async def picture(self, pixels: NDArray[np.float32]) -> Vector:
        """The unit vector of what the model's preprocessing made of a picture, float32 [3, size, size]."""
        return await self._pictures.vector(pixels)

    def _encode_texts(self, texts: Sequence[Text]) -> tuple[Sequence[int], NDArray[np.float32]]:
        tokenizer = self._encoders.tokenizer
        with self._metrics.stage("encode"):
            rows = [text.ids(tokenizer) for text in texts]
            chosen = first_batch([len(row) for row in rows])
            return chosen, self._encoders.encode_tokens(tokenizer.pad([rows[index] for index in chosen]))

    def _encode_pictures(self, pictures: Sequence[NDArray[np.float32]]) -> tuple[Sequence[int], NDArray[np.float32]]:
        with self._metrics.stage("encode"):
            batch = pictures[:IMAGE_BATCH]
            return range(len(batch)), self._encoders.encode_pixels(np.stack(batch))


def first_batch(lengths: Sequence[int]) -> list[int]:
    """Which texts, given their numbers of tokens and oldest first, to encode next: the oldest and others about as long.

    A batch costs READING plus its longest text times its size. The texts, sorted by length, are divided so that all
    batches together cost the least; the oldest text's is the one.
    """
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    cost, start = [0], [0]  # of the best division of the first n texts; and where the last batch of it begins
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        widest = max(1, MOST_TOKENS // longest)
        best = min(
            (cost[begin] + READING + longest * (end - begin), begin) for begin in range(max(0, end - widest), end)
        )
        cost.append(best[0])
        start.append(best[1])
    end = len(order)
    while 0 not in order[start[end] : end]:
        end = start[end]
    return order[start[end] : end]
