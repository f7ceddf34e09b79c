"""Encode decoded pictures in batches, in a thread beside the decoding.

Batches are filled with new pictures in the source's order. A resumed build has the same batches as one without a stop,
and its collection is the same to the last bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..decoding import Decoded
from ..engines import Engine
from ..vector_cache import CachedPicture
from . import DecodedItem, EncodeStats

BATCHES = 2  # that are encoded or wait for it while the next one fills
HELD_BACK = 1024  # items that may wait for a batch to fill


class Pictures(Protocol):
    """Where vectors are kept, by the digest of their picture."""

    def has_picture(self, digest: bytes) -> bool:
        """Return whether the vector of this picture is there."""
        ...

    def add_pictures(self, pictures: Iterable[tuple[bytes, CachedPicture]]) -> None:
        """Store pictures by the digest of their content."""
        ...


def encoded(
    decoded: Iterable[DecodedItem], engine: Engine, pictures: Pictures, stats: EncodeStats
) -> Iterator[DecodedItem]:
    """Yield the same items in the same order, each after its picture's vector is in `pictures`."""
    with Batches(engine, pictures, stats) as batches:
        for item in decoded:
            yield from batches.add(item)
        yield from batches.finish()


@dataclass
class Batch:
    """Items in order from the first picture that must be encoded, and those pictures by content."""

    held: list[DecodedItem] = field(default_factory=list)
    new: dict[bytes, Decoded] = field(default_factory=dict)  # the same picture twice is encoded once
    vectors: Future[NDArray[np.float32]] | None = None  # once it is full


class Batches:
    """Holds items back, from the first picture that must be encoded until there is a whole batch of such pictures.

    Batches are encoded in a separate thread: the engine gives up the GIL, and gets the next batch as soon as it is done
    with one. Items leave in the source's order, regardless of which is done first. Close it by leaving the `with`
    block.
    """

    def __init__(self, engine: Engine, pictures: Pictures, stats: EncodeStats) -> None:
        self._engine, self._pictures, self._stats = engine, pictures, stats
        self._encoder = ThreadPoolExecutor(1, "encoder")
        self._filling = Batch()
        self._encoding: deque[Batch] = deque()

    def add(self, item: DecodedItem) -> Iterator[DecodedItem]:
        """Add an item; yield the items whose vectors are known by now."""
        while self._encoding and _vectors(self._encoding[0]).done():
            yield from self._oldest()
        _, outcome = item
        if isinstance(outcome, Decoded) and outcome.crop is not None and not self._is_known(outcome.digest):
            self._filling.new.setdefault(outcome.digest, outcome)
        if self._filling.new:
            self._filling.held.append(item)
            if len(self._filling.new) == self._engine.image_batch or len(self._filling.held) == HELD_BACK:
                yield from self._encode()
        elif self._encoding:
            self._encoding[-1].held.append(item)
            if len(self._encoding[-1].held) >= 2 * HELD_BACK:
                yield from self._all()
        else:
            yield item

    def finish(self) -> Iterator[DecodedItem]:
        """Encode the pictures that were held back, and yield all remaining items."""
        if self._filling.new:
            yield from self._encode()
        yield from self._all()

    def _is_known(self, digest: bytes) -> bool:
        """Return whether a vector is known or being computed: a picture may be decoded twice at the same time."""
        return any(digest in batch.new for batch in self._encoding) or self._pictures.has_picture(digest)

    def _encode(self) -> Iterator[DecodedItem]:
        batch, self._filling = self._filling, Batch()
        crops = [picture.crop for picture in batch.new.values() if picture.crop is not None]
        batch.vectors = self._encoder.submit(self._vectors_of, crops)
        self._encoding.append(batch)
        if len(self._encoding) > BATCHES:
            yield from self._oldest()

    def _vectors_of(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        started = time.monotonic()
        vectors = self._engine.encode_crops(np.stack(crops))
        self._stats.encoding += time.monotonic() - started
        return vectors

    def _all(self) -> Iterator[DecodedItem]:
        while self._encoding:
            yield from self._oldest()

    def _oldest(self) -> Iterator[DecodedItem]:
        """Keep what was encoded, then let go what was held back for it."""
        batch = self._encoding.popleft()
        vectors = _vectors(batch).result()
        self._pictures.add_pictures(
            (digest, CachedPicture(vector.astype("<f2"), picture.size, picture.thumbnail))
            for (digest, picture), vector in zip(batch.new.items(), vectors, strict=True)
            if picture.size is not None and picture.thumbnail is not None
        )
        self._stats.encoded += len(vectors)
        yield from batch.held

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self._encoder.shutdown(cancel_futures=True)


def _vectors(batch: Batch) -> Future[NDArray[np.float32]]:
    assert batch.vectors is not None, "a full batch is handed to the encoder"
    return batch.vectors
