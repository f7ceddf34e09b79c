"""Requests that arrive together are encoded together, and one that arrives alone does not wait.

No time is spent waiting for others: a batch is what has queued while the one before it was computed.
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
from promptsearch.errors import ModelFault

from ..ops.metrics import Metrics
from .search_threads import SearchThreads, single_core_threads

Item = TypeVar("Item")
Vector = NDArray[np.float32]
Then = Callable[[Vector], None]
Encode = Callable[[Sequence[Item]], tuple[Sequence[int], NDArray[np.float32]]]

# Tokens whose arithmetic takes as long as reading the weights, which every batch does once (CLIP ViT-B/32, 2 AVX2
# cores: 10 ms and 0.52 ms a token). It is the machine's FLOPs per byte of bandwidth, so similar for other models.
READING = 20
MAX_TOKENS = 384  # of a batch: 95 % of the machine's throughput, and a newcomer waits no longer than for that
_CONSIDERED = 256  # waiting items to choose a batch from


@dataclass(frozen=True)
class _Waiting(Generic[Item]):
    item: Item
    then: Then | None


class Batcher(Generic[Item]):
    """An encoding thread and the items that wait for it."""

    def __init__(self, name: str, encode: Encode[Item], threads: SearchThreads) -> None:
        """Encode with `encode`: given items, oldest first, it returns the positions of those that it has encoded, at
        least one, and their vectors, float32 [n, embedding_dim]. The other items are offered again."""
        self._encode = encode
        self._search_threads = threads
        self._thread = single_core_threads(1, name)
        self._queue: dict[asyncio.Future[Vector], _Waiting[Item]] = {}
        self._running: asyncio.Task[None] | None = None
        self._one_by_one = 0  # items that are encoded alone, to see which of them the model fails at

    async def vector(self, item: Item, then: Then | None = None) -> Vector:
        """Return the unit vector of one item, float32 [embedding_dim]. A caller that is cancelled leaves the queue.

        `then`, which raises nothing, has been called with the vector before: by the encoding thread if nobody waits
        for it, else by a search thread.
        """
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self._queue[future] = _Waiting(item, then)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        try:
            return await future
        finally:
            self._queue.pop(future, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                batch = list(islice(self._queue.items(), 1 if self._one_by_one else _CONSIDERED))
                self._one_by_one = max(0, self._one_by_one - 1)
                try:
                    encoded, done = await loop.run_in_executor(self._thread, self._encode_batch, batch, loop)
                except Exception as error:  # each of the batch gets it, and the next batch is tried
                    if isinstance(error, ModelFault) and len(batch) > 1:  # perhaps at one of them only
                        self._one_by_one = len(batch)
                        continue
                    for future, _ in batch:
                        self._queue.pop(future, None)
                        if not future.done():
                            future.set_exception(error)
                else:
                    for future in encoded:
                        self._queue.pop(future, None)
                    for future, vector in done:
                        _resolve(future, vector)
        finally:
            self._running = None

    def _encode_batch(
        self, batch: Sequence[tuple[asyncio.Future[Vector], _Waiting[Item]]], loop: asyncio.AbstractEventLoop
    ) -> tuple[list[asyncio.Future[Vector]], list[tuple[asyncio.Future[Vector], Vector]]]:
        """Return, in the encoding thread, what is encoded, and those of it for which nothing is left to do."""
        encoded, done = [], []
        for index, vector in zip(*self._encode([waiting.item for _, waiting in batch]), strict=True):
            future, waiting = batch[index]
            encoded.append(future)
            if waiting.then is None:
                done.append((future, vector))
            elif len(self._queue) == 1:  # nobody has come meanwhile
                waiting.then(vector)
                done.append((future, vector))
            else:
                self._search_threads.submit(partial(_continue, future, vector, waiting.then, loop))
        return encoded, done


def _continue(future: asyncio.Future[Vector], vector: Vector, then: Then, loop: asyncio.AbstractEventLoop) -> None:
    if not future.cancelled():
        then(vector)
        loop.call_soon_threadsafe(_resolve, future, vector)


def _resolve(future: asyncio.Future[Vector], vector: Vector) -> None:
    if not future.done():  # else the caller has left
        future.set_result(vector)


class _Text:
    """A text to encode; its tokens are kept once they were needed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ids: list[int] | None = None
        self.truncated = False  # known once it has tokens

    def ids(self, tokenizer: Tokenizer) -> list[int]:
        if self._ids is None:
            self._ids, self.truncated = tokenizer.read(self._text)
        return self._ids


class BatchedEncoders:
    """One model's two encoders, each behind a batcher."""

    def __init__(self, encoders: Encoders, metrics: Metrics, threads: SearchThreads) -> None:
        self._encoders = encoders
        self._metrics = metrics
        self._texts: Batcher[_Text] = Batcher("texts", self._encode_texts, threads)
        self._pictures: Batcher[NDArray[np.float32]] = Batcher("pictures", self._encode_pictures, threads)

    async def text(self, text: str, then: Callable[[Vector, bool], None] | None = None) -> tuple[Vector, bool]:
        """Return the unit vector of a text, float32 [embedding_dim], and whether the text was truncated.

        `then` is called with both, see `Batcher.vector`.
        """
        item = _Text(text)
        then_with_both = None if then is None else lambda vector: then(vector, item.truncated)
        return await self._texts.vector(item, then_with_both), item.truncated

    async def picture(self, pixels: NDArray[np.float32]) -> Vector:
        """Return the unit vector of a preprocessed picture, float32 [3, size, size]."""
        return await self._pictures.vector(pixels)

    def _encode_texts(self, texts: Sequence[_Text]) -> tuple[Sequence[int], NDArray[np.float32]]:
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
    """Return the positions of the texts to encode next: the oldest and others of about its length.

    `lengths` are numbers of tokens, oldest text first. A batch costs READING plus its longest text times its size. The
    texts, sorted by length, are divided so that all batches together cost the least; the oldest text's batch is first.
    """
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    cost, start = [0], [0]  # of the best division of the first n texts; and where its last batch starts
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        widest = max(1, MAX_TOKENS // longest)
        best = min(
            (cost[begin] + READING + longest * (end - begin), begin) for begin in range(max(0, end - widest), end)
        )
        cost.append(best[0])
        start.append(best[1])
    end = len(order)
    while 0 not in order[start[end] : end]:
        end = start[end]
    return order[start[end] : end]
