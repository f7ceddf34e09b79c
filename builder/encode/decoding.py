"""Pictures decoded in processes of their own, ahead of the encoder.

A picture that ends its process (a decoder's crash, memory that ran out) costs that process and itself, nothing else.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import ImageSpec
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.errors import PictureError
from promptsearch.storage.thumbnails import make_thumbnail

from ..sources import Item, Picture, Rejected
from .cache import KnownPictures, digest_of

log = logging.getLogger(__name__)

CHUNK = 8  # items a task: fewer trips between processes
AHEAD = 4  # tasks a process that are decoded and wait for the encoder


@dataclass(frozen=True)
class Decoded:
    """A picture's content digest and, where the cache did not know that, what was decoded.

    `crop` is uint8 [size, size, 3], `size` that of the whole picture in pixels, `thumbnail` is WebP.
    """

    digest: bytes
    crop: NDArray[np.uint8] | None = None
    size: tuple[int, int] | None = None
    thumbnail: bytes | None = None


Outcome = Decoded | str  # a reason, where there is no picture


class Decoders:
    """A pool of `processes` that reads and decodes. Close it by leaving the `with` block."""

    def __init__(self, spec: ImageSpec, cache: Path, processes: int) -> None:
        self._spec, self._cache, self._processes = spec, cache, processes
        self._pool = self._new_pool(processes)

    def decode(self, items: Iterable[Item | Rejected]) -> Iterator[tuple[Item | Rejected, Outcome | None]]:
        """Each item in its order, with what became of its picture (None: it has none, or it brings its vector)."""
        waiting: deque[tuple[list[Item | Rejected], Future[list[Outcome]] | None]] = deque()
        for chunk in chunks(items, most_pictures=CHUNK, most_items=32 * CHUNK):
            pictures = [picture for item in chunk if (picture := to_decode(item))]
            waiting.append((chunk, self._submit(pictures) if pictures else None))
            if len(waiting) > AHEAD * self._processes:
                yield from self._finish(*waiting.popleft())
        while waiting:
            yield from self._finish(*waiting.popleft())

    def _finish(
        self, chunk: list[Item | Rejected], future: Future[list[Outcome]] | None
    ) -> Iterator[tuple[Item | Rejected, Outcome | None]]:
        outcomes = iter(self._outcomes(chunk, future) if future else ())
        for item in chunk:
            yield item, next(outcomes) if to_decode(item) else None

    def _outcomes(self, chunk: list[Item | Rejected], future: Future[list[Outcome]]) -> list[Outcome]:
        try:
            return future.result()
        except BrokenProcessPool:
            # One of the pictures in flight did it, so each is tried where it can break nothing else.
            return self._one_by_one([picture for item in chunk if (picture := to_decode(item))])

    def _one_by_one(self, pictures: Sequence[Picture]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while len(outcomes) < len(pictures):
            with self._new_pool(1) as pool:
                try:
                    for picture in pictures[len(outcomes) :]:
                        outcomes += pool.submit(_decode_all, [picture]).result()
                except BrokenProcessPool:
                    outcomes.append("the process that decoded it died: it needs too much memory or crashes the decoder")
        return outcomes

    def _submit(self, pictures: Sequence[Picture]) -> Future[list[Outcome]]:
        try:
            return self._pool.submit(_decode_all, pictures)
        except BrokenProcessPool:
            self._pool.shutdown()
            self._pool = self._new_pool(self._processes)
            return self._pool.submit(_decode_all, pictures)

    def _new_pool(self, processes: int) -> ProcessPoolExecutor:
        # Forked from a process without threads: this one has ONNX Runtime's.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])  # imported once, not by each process
        return ProcessPoolExecutor(processes, context, initializer=_start, initargs=(self._spec, self._cache))

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def to_decode(item: Item | Rejected) -> Picture | None:
    """Return the picture of an item that must be decoded; None if there is none, or the item brings its vector."""
    return item.picture if isinstance(item, Item) and item.vector is None else None


def chunks(items: Iterable[Item | Rejected], *, most_pictures: int, most_items: int) -> Iterator[list[Item | Rejected]]:
    """Yield runs of items, each as long as both limits allow."""
    chunk: list[Item | Rejected] = []
    pictures = 0
    for item in items:
        chunk.append(item)
        pictures += to_decode(item) is not None
        if pictures == most_pictures or len(chunk) == most_items:
            yield chunk
            chunk, pictures = [], 0
    if chunk:
        yield chunk


# What follows runs in the pool's processes, which work for one build each.
_preprocessing: Preprocessing
_known: KnownPictures


def _start(spec: ImageSpec, cache: Path) -> None:
    global _preprocessing, _known
    _preprocessing, _known = Preprocessing(spec), KnownPictures(cache)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the builder ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with its parent: a builder that is killed cannot end its pool, which would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _decode_all(pictures: Sequence[Picture]) -> list[Outcome]:
    return [_decode(picture) for picture in pictures]


def _decode(picture: Picture) -> Outcome:
    try:
        content = picture.read()
        digest = digest_of(content)
        if digest in _known:
            return Decoded(digest)
        opened = open_picture(content, background=_preprocessing.spec.background)
        return Decoded(digest, np.asarray(_preprocessing.crop(opened)), opened.size, make_thumbnail(opened))
    except PictureError as error:
        return str(error)
    except Exception as error:  # whatever it is, it costs this picture alone
        log.exception("decoding a picture failed")
        return f"decoding it failed: {type(error).__name__}: {error}"
