"""A source's items and their embeddings to a staged version.

What was encoded before is taken from the cache (see builder/cache.py), which is also how a build goes on that was
stopped: batches are filled with new pictures in the source's order, so the batches after a stop are those that would
have come without it, and the collection is the same to the last bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builder.cache import Cache, CachedPicture, Vector, digest_of
from builder.decoding import Decoded, Decoders, Outcome
from builder.engines import Engine
from builder.progress import Progress
from builder.sources import Item, Rejected, Source
from builder.staging import Staging
from builder.versions import version_name
from promptsearch.bundle import Bundle
from promptsearch.cores import cores
from promptsearch.encoders import IMAGE_BATCH
from promptsearch.errors import BuildError
from promptsearch.manifest import Manifest, ModelReference

TEXTS_AT_ONCE = 4096  # enough that texts of one length find each other
BATCHES = 2  # that are encoded or wait for it while the next one fills
HELD_BACK = 32 * IMAGE_BATCH  # items that may wait for a batch to fill


@dataclass
class Tally:
    """What the stages did."""

    encoded: int = 0  # pictures
    cached: int = 0  # pictures whose vector was known
    encoding: float = 0.0  # seconds


def embed(source: Source, engine: Engine, bundle: Bundle, collection: Path, *, engine_name: str) -> Manifest:
    """Stage `source` for the collection in that folder; returns the manifest as far as it is known.

    What cannot be read goes to the quarantine file and the rest is built: a rejected row altogether, a picture that
    does not decode leaves its prompt and settings. Raises BuildError where nothing at all is left.
    """
    started = time.monotonic()
    tally = Tally()
    with Staging(collection, bundle.embedding_dim) as staging, Cache(collection, bundle) as cache:
        _embed_items(source, engine, bundle, staging, cache, tally)
        pictures_done = time.monotonic()
        new_texts = _embed_prompts(engine, staging, cache)
        counts = staging.counts()
        if not counts["prompts"] and not counts["images"]:
            raise BuildError(
                f"the source has nothing to build from: {counts['quarantined']} rows were rejected, "
                f"{staging.folder / 'quarantine.csv'} says why"
            )
    now = datetime.now(UTC)
    done = time.monotonic()
    manifest = Manifest(
        collection=collection.name,
        version=version_name(now),
        created=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        model=ModelReference(bundle.name, bundle.identity, bundle.embedding_dim),
        source={"kind": source.kind, "root": collection.name},
        counts=counts,
        images=None,
        prompts=None,
        build={
            "engine": engine_name,
            "quarantined": dict(staging.reasons.most_common()),
            "encoded": {"images": tally.encoded, "prompts": new_texts},
            "from_cache": {"images": tally.cached, "prompts": counts["prompts"] - new_texts},
            "images_a_second": round(tally.encoded / (pictures_done - started), 2) if tally.encoded else None,
            "seconds": {"images": round(pictures_done - started, 2), "prompts": round(done - pictures_done, 2)},
            "seconds_encoding_images": round(tally.encoding, 2),  # of those for images; the rest waited for decoding
        },
        files={},
    )
    manifest.write(staging.folder)
    return manifest


def _embed_items(source: Source, engine: Engine, bundle: Bundle, staging: Staging, cache: Cache, tally: Tally) -> None:
    with (
        Progress("items", source.count()) as progress,
        Decoders(bundle.image, cache.path, cores()) as decoders,
        Batches(engine, staging, cache, tally) as batches,
    ):
        for item, outcome in decoders.decode(source.items()):
            batches.add(item, outcome)
            progress.add(1)
        batches.finish()


@dataclass
class Batch:
    """Items in order from the first picture that must be encoded, and those pictures by content."""

    held: list[tuple[Item | Rejected, Outcome | None]] = field(default_factory=list)
    new: dict[bytes, Decoded] = field(default_factory=dict)  # the same picture twice is encoded once
    vectors: Future[NDArray[np.float32]] | None = None  # once it is full


class Batches:
    """Items in order, held back from the first picture that must be encoded until there are IMAGE_BATCH of those.

    Those are encoded in a thread of their own: the engine gives up the GIL, and has the next batch ready when it is
    done with one. What came between is stored in the source's order, whatever is done first. Close it by leaving the
    `with` block.
    """

    def __init__(self, engine: Engine, staging: Staging, cache: Cache, tally: Tally) -> None:
        self._engine, self._staging, self._cache, self._tally = engine, staging, cache, tally
        self._encoder = ThreadPoolExecutor(1, "encoder")
        self._filling = Batch()
        self._encoding: deque[Batch] = deque()

    def add(self, item: Item | Rejected, outcome: Outcome | None) -> None:
        while self._encoding and _vectors(self._encoding[0]).done():
            self._store_oldest()
        if isinstance(outcome, Decoded) and outcome.crop is not None and not self._is_known(outcome.digest):
            self._filling.new.setdefault(outcome.digest, outcome)
        if self._filling.new:
            self._filling.held.append((item, outcome))
            if len(self._filling.new) == IMAGE_BATCH or len(self._filling.held) == HELD_BACK:
                self._encode()
        elif self._encoding:
            self._encoding[-1].held.append((item, outcome))
            if len(self._encoding[-1].held) >= 2 * HELD_BACK:
                self._store_all()
        else:
            self._store(item, outcome)

    def finish(self) -> None:
        """Encode and store what was held back."""
        if self._filling.new:
            self._encode()
        self._store_all()

    def _is_known(self, digest: bytes) -> bool:
        """Two that were decoded at the same time may be one, and its vector is known or on its way by now."""
        return any(digest in batch.new for batch in self._encoding) or self._cache.picture(digest) is not None

    def _encode(self) -> None:
        batch, self._filling = self._filling, Batch()
        crops = [one.crop for one in batch.new.values() if one.crop is not None]
        batch.vectors = self._encoder.submit(self._vectors_of, crops)
        self._encoding.append(batch)
        if len(self._encoding) > BATCHES:
            self._store_oldest()

    def _vectors_of(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        started = time.monotonic()
        vectors = self._engine.encode_pixels(self._engine.preprocessing.normalise(np.stack(crops)))
        self._tally.encoding += time.monotonic() - started
        return vectors

    def _store_all(self) -> None:
        while self._encoding:
            self._store_oldest()

    def _store_oldest(self) -> None:
        """Make what was encoded durable, then store what was held back for it."""
        batch = self._encoding.popleft()
        vectors = _vectors(batch).result()
        self._cache.add_pictures(
            (digest, CachedPicture(vector.astype("<f2"), one.size, one.thumbnail))
            for (digest, one), vector in zip(batch.new.items(), vectors, strict=True)
            if one.size is not None and one.thumbnail is not None
        )
        self._tally.encoded += len(vectors)
        self._tally.cached -= len(vectors)
        for item, outcome in batch.held:
            self._store(item, outcome)

    def _store(self, item: Item | Rejected, outcome: Outcome | None) -> None:
        if isinstance(item, Rejected):
            self._staging.reject(item)
        elif isinstance(outcome, str):
            self._staging.reject(Rejected(item.source, outcome))
            if item.prompt is not None:
                self._staging.add(item, None)
        elif outcome is None:
            self._staging.add(item, item.vector)
        else:
            picture = self._cache.picture(outcome.digest)
            assert picture is not None, "what was decoded is encoded before it is stored"
            self._tally.cached += 1
            self._staging.add(item, picture.vector, picture.size, picture.thumbnail)

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self._encoder.shutdown(cancel_futures=True)


def _vectors(batch: Batch) -> Future[NDArray[np.float32]]:
    assert batch.vectors is not None, "a full batch is handed to the encoder"
    return batch.vectors


def _embed_prompts(engine: Engine, staging: Staging, cache: Cache) -> int:
    """Append every prompt's vector; returns how many were computed."""
    computed = 0
    with Progress("prompts", staging.counts()["prompts"]) as progress:
        for batch in staging.texts(TEXTS_AT_ONCE):
            digests = [digest_of(text.encode()) for text, _ in batch]
            known = cache.texts([digest for digest, (_, given) in zip(digests, batch, strict=True) if given is None])
            new = [
                (digest, text)
                for digest, (text, given) in zip(digests, batch, strict=True)
                if given is None and digest not in known
            ]
            if new:
                vectors = engine.encode_texts([text for _, text in new]).astype("<f2")
                found = {digest: vector for (digest, _), vector in zip(new, vectors, strict=True)}
                cache.add_texts(found.items())
                known |= found
                computed += len(new)
            rows: list[Vector] = [
                known[digest] if given is None else given for digest, (_, given) in zip(digests, batch, strict=True)
            ]
            staging.prompts.append(np.stack(rows))
            progress.add(len(batch))
    return computed
