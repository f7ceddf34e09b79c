"""A source's items and their embeddings to a staged version."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from builder.engines import Engine
from builder.sources import Item, Rejected, Source
from builder.staging import Staging
from promptsearch.bundle import Bundle
from promptsearch.encoders import IMAGE_BATCH, cores
from promptsearch.errors import BuildError, PictureError
from promptsearch.manifest import Manifest, ModelReference
from promptsearch.picture import open_picture
from promptsearch.preprocessing import Preprocessing
from promptsearch.thumbnails import make_thumbnail

TEXTS_AT_ONCE = 4096  # enough that texts of one length find each other


@dataclass(frozen=True)
class Prepared:
    """An item after decoding: pixels, size and thumbnail of its picture, or why there are none."""

    item: Item | Rejected
    pixels: NDArray[np.float32] | None = None  # [3, size, size]
    size: tuple[int, int] | None = None
    thumbnail: bytes | None = None
    problem: str | None = None


def embed(source: Source, engine: Engine, bundle: Bundle, collection: Path, *, engine_name: str) -> Manifest:
    """Stage `source` for the collection in that folder; returns the manifest as far as it is known.

    What cannot be read goes to the quarantine file and the rest is built: a rejected row altogether, a picture that
    does not decode leaves its prompt and settings. Raises BuildError where nothing at all is left.
    """
    started = time.monotonic()
    with Staging(collection, bundle.embedding_dim) as staging:
        progress = tqdm(prepare(source.items(), engine.preprocessing), desc="items", unit=" items", disable=None)
        for batch in _batches(progress):
            _store(batch, engine, staging)
        pictures_done = time.monotonic()
        total = staging.counts()["prompts"]
        with tqdm(total=total, desc="prompts", unit=" prompts", disable=None) as progress:
            for texts in staging.texts(TEXTS_AT_ONCE):
                staging.prompts.append(engine.encode_texts(texts))
                progress.update(len(texts))
        counts = staging.counts()
        if not counts["prompts"] and not counts["images"]:
            raise BuildError(
                f"the source has nothing to build from: {counts['quarantined']} rows were rejected, "
                f"{staging.folder / 'quarantine.csv'} says why"
            )
    now = datetime.now(UTC)
    manifest = Manifest(
        collection=collection.name,
        version=now.strftime("%Y%m%dT%H%M%S.%fZ"),
        created=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        model=ModelReference(bundle.name, bundle.identity, bundle.embedding_dim),
        source={"kind": source.kind, "root": collection.name},
        counts=counts,
        images=None,
        prompts=None,
        build={
            "engine": engine_name,
            "seconds": {
                "images": round(pictures_done - started, 2),
                "prompts": round(time.monotonic() - pictures_done, 2),
            },
        },
        files={},
    )
    manifest.write(staging.folder)
    return manifest


def prepare(items: Iterable[Item | Rejected], preprocessing: Preprocessing) -> Iterator[Prepared]:
    """Decode in threads (Pillow gives up the GIL), a bounded window ahead of the consumer, in the source's order."""

    def work(item: Item | Rejected) -> Prepared:
        if isinstance(item, Rejected) or item.picture is None:
            return Prepared(item)
        try:
            picture = open_picture(item.picture.read(), background=preprocessing.spec.background)
            return Prepared(item, preprocessing(picture), picture.size, make_thumbnail(picture))
        except PictureError as error:
            return Prepared(item, problem=str(error))

    waiting: deque[Future[Prepared]] = deque()
    with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * IMAGE_BATCH:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(prepared: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """Runs of items that hold IMAGE_BATCH pictures each (or many items without one)."""
    batch: list[Prepared] = []
    pictures = 0
    for one in prepared:
        batch.append(one)
        pictures += one.pixels is not None
        if pictures == IMAGE_BATCH or len(batch) == 32 * IMAGE_BATCH:
            yield batch
            batch, pictures = [], 0
    if batch:
        yield batch


def _store(batch: list[Prepared], engine: Engine, staging: Staging) -> None:
    for one in batch:
        if isinstance(one.item, Rejected):
            staging.reject(one.item)
            continue
        if one.problem:
            staging.reject(Rejected(one.item.source, one.problem))
            if one.item.prompt is None:
                continue
        staging.add(one.item, one.size, one.thumbnail)
    pixels = [one.pixels for one in batch if one.pixels is not None]
    if pixels:
        staging.add_vectors(engine.encode_pixels(np.stack(pixels)))
