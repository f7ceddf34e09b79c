"""Decode pictures in separate processes, ahead of the encoder.

If a picture kills its process (a crash of the decoder, out of memory), only that picture is lost.
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
from promptsearch.encoding.image_io import open_whole
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.errors import PictureError
from promptsearch.storage.digests import digest_of
from promptsearch.storage.thumbnails import SIDE, make_thumbnail

from ..sources import Item, Picture, Rejected
from ..sources.inputs.picture import RememberedPicture
from .processes_memory import ProcessesMemory
from .vector_cache import KnownPictures

log = logging.getLogger(__name__)

CHUNK = 8  # pictures a task, to save round trips between processes
SECONDS = 60.0  # that decoding a picture may take
AHEAD = 4  # tasks a process that are queued or wait for the encoder


@dataclass(frozen=True)
class Decoded:
    """A picture's content digest and, if that is not in the cache, the decoded picture.

    `crop` is the encoder's input, uint8 [size, size, 3]; `size` is (width, height) of the whole picture in pixels;
    `thumbnail` is WebP.
    """

    digest: bytes
    crop: NDArray[np.uint8] | None = None
    size: tuple[int, int] | None = None
    thumbnail: bytes | None = None


Outcome = Decoded | str  # the reason, if it could not be decoded


@dataclass(frozen=True)
class _Task:
    """Some items in order, the outcomes that are known, and the pictures that a process decodes for the others."""

    chunk: list[Item | Rejected]
    known: list[Decoded | None]
    pictures: list[Picture]
    future: Future[list[Outcome]] | None


class Decoders:
    """A pool of `processes` that read and decode pictures. The `with` block closes it."""

    def __init__(self, spec: ImageSpec, cache: Path, processes: int) -> None:
        self._spec, self._cache, self._processes = spec, cache, processes
        self._known = KnownPictures(cache)
        self._pool = self._new_pool(processes)

    def decode(self, items: Iterable[Item | Rejected]) -> Iterator[tuple[Item | Rejected, Outcome | None]]:
        """Yield each item in order with the outcome of its picture; None if it has no picture, or has a vector."""
        waiting: deque[_Task] = deque()
        for chunk in chunks(items, most_pictures=CHUNK, most_items=32 * CHUNK):
            waiting.append(self._begin(chunk))
            if len(waiting) > AHEAD * self._processes:
                yield from self._finish(waiting.popleft())
        while waiting:
            yield from self._finish(waiting.popleft())

    def _begin(self, chunk: list[Item | Rejected]) -> _Task:
        """Submit the pictures that must be read: those whose vectors are known by a remembered digest need not be."""
        known = [self._remembered(item) for item in chunk]
        pictures = [
            picture
            for item, outcome in zip(chunk, known, strict=True)
            if outcome is None and (picture := to_decode(item))
        ]
        return _Task(chunk, known, pictures, self._submit(pictures) if pictures else None)

    def _remembered(self, item: Item | Rejected) -> Decoded | None:
        picture = to_decode(item)
        if isinstance(picture, RememberedPicture) and picture.digest in self._known:
            return Decoded(picture.digest)
        return None

    def _finish(self, task: _Task) -> Iterator[tuple[Item | Rejected, Outcome | None]]:
        outcomes = iter(self._outcomes(task.pictures, task.future) if task.future else ())
        for item, known in zip(task.chunk, task.known, strict=True):
            yield item, known if known or not to_decode(item) else next(outcomes)

    def _outcomes(self, pictures: Sequence[Picture], future: Future[list[Outcome]]) -> list[Outcome]:
        try:
            return future.result(2 * CHUNK * SECONDS)
        except (BrokenProcessPool, TimeoutError):
            _kill(self._pool)
            # Any picture in flight may be the cause, so each is decoded in a separate pool.
            return self._one_by_one(pictures)

    def _one_by_one(self, pictures: Sequence[Picture]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while len(outcomes) < len(pictures):
            with self._new_pool(1) as pool:
                try:
                    for picture in pictures[len(outcomes) :]:
                        outcomes += pool.submit(_decode_all, [picture]).result(2 * SECONDS)
                except TimeoutError:  # in a decoder that cannot be interrupted, or a file system that does not answer
                    _kill(pool)
                    outcomes.append(f"reading and decoding it takes longer than {2 * SECONDS:g} s")
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
        # Not forked from this process, which has the threads of ONNX Runtime.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])  # imported once, not by each process
        arguments = (self._spec, self._cache, ProcessesMemory(context))
        return ProcessPoolExecutor(processes, context, initializer=_start, initargs=arguments)

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._known.close()


def to_decode(item: Item | Rejected) -> Picture | None:
    """Return the picture of an item if it must be decoded; None if it has none, or has a vector."""
    return item.picture if isinstance(item, Item) and item.vector is None else None


def chunks(items: Iterable[Item | Rejected], *, most_pictures: int, most_items: int) -> Iterator[list[Item | Rejected]]:
    """Yield the items in lists, each as long as both limits allow."""
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


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, whatever they do."""
    for process in list((pool._processes or {}).values()):
        process.kill()


# What follows runs in the pool's processes, which work for one build each.
_preprocessing: Preprocessing
_known: KnownPictures
_memory: ProcessesMemory


def _start(spec: ImageSpec, cache: Path, memory: ProcessesMemory) -> None:
    global _preprocessing, _known, _memory
    _preprocessing, _known, _memory = Preprocessing(spec), KnownPictures(cache), memory
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the builder stops this process
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent exits: a builder that is killed cannot stop its pool, which would wait forever."""
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
        spec = _preprocessing.spec
        image, size = open_whole(
            content, background=spec.background, large_side=max(spec.size, SIDE), memory=_memory, seconds=SECONDS
        )
        return Decoded(digest, np.asarray(_preprocessing.crop(image)), size, make_thumbnail(image))
    except PictureError as error:
        return str(error)
    except Exception as error:  # any error rejects only this picture
        log.exception("decoding a picture failed")
        return f"decoding it failed: {type(error).__name__}: {error}"
