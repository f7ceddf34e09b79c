"""Embed a source's items and write them to a staged version.

Vectors of content that was encoded before come from the cache (see `vector_cache`), so interrupted builds resume. A
runner (see `runners`) encodes the rest. Results are stored in the source's order: ids, rows and counts do not depend on
the runner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.prompt_text import PromptText, rules, text_to_embed
from promptsearch.errors import BuildError
from promptsearch.storage.digests import digest_of, digest_of_vector
from promptsearch.storage.manifest import FILES, Manifest, ModelReference
from promptsearch.version import __version__

from ..progress import Progress, say
from ..sources import Item, Rejected, Source
from ..sources.inputs.storable import storable
from ..sources.remembered_folder import RememberedFolder
from ..versions.removal import require_most_kept
from ..versions.staging import Staging, staging_folder
from ..versions.versions import version_name
from .decoding import Decoded, Outcome
from .runners import DecodedItem, EncodeStats, Runner
from .truncation import TruncationCheck
from .vector_cache import Cache, CachedText, Vector

TEXTS_AT_ONCE = 4096  # enough for batches of texts of similar length
# Each text is needed twice in a build, and again in the next if that follows in the same process.
_text_to_embed = lru_cache(2**16)(text_to_embed)


def embed(
    source: Source,
    runner: Runner,
    bundle: Bundle,
    collection: Path,
    *,
    engine_name: str,
    prompt_text: PromptText = "plain",
    allow_removal: bool = False,
    learn: Callable[[Item, bytes], None] | None = None,
    enough: Callable[[EncodeStats], bool] | None = None,
) -> Manifest:
    """Stage `source` for the collection in that folder; return the manifest without indexes and files.

    `learn` is called with each item whose picture was decoded, and the digest of that. Once `enough` returns True of
    what was encoded, the rest of the source is left out, and the manifest says so (`build.partial`).

    Rejections go to the quarantine file and the rest is built: of a picture that does not decode, the prompt and
    settings are kept. Raises BuildError if nothing is left or, without `allow_removal`, less than half of the items
    that are served now.
    """
    started = time.monotonic()
    stats = EncodeStats()
    interrupted = staging_folder(collection).exists()
    with Staging(collection, bundle.embedding_dim) as staging, Cache(collection, bundle) as cache:
        # A remembered folder's items have been made storable before they were remembered.
        read = source.items() if isinstance(source, RememberedFolder) else map(storable, source.items())
        items = runner.pictures(read, cache, stats)
        pictures = _Pictures(staging, cache, stats, learn, enough, interrupted)
        with Progress("items", source.count()) as progress, closing(items):
            pictures.store(items, progress)
        pictures_done = time.monotonic()
        prompts = _embed_prompts(runner, staging, cache, prompt_text, TruncationCheck(bundle))
        counts = staging.counts()
        if not allow_removal:
            require_most_kept(collection, counts)
        if not counts["prompts"] and not counts["images"]:
            raise BuildError(f"the source has nothing to build from: {_reason(source, staging)}")
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
            "program": __version__,
            "quarantined": dict(staging.reasons.most_common()),
            "encoded": {"images": stats.encoded, "prompts": prompts.encoded},
            "from_cache": {"images": pictures.decoded - stats.encoded, "prompts": prompts.known},
            "prompt_text": rules(prompt_text),
            "partial": pictures.partial,
            "prompts_truncated": prompts.truncated,
            "images_a_second": round(stats.encoded / (pictures_done - started), 2) if stats.encoded else None,
            "seconds": {"images": round(pictures_done - started, 2), "prompts": round(done - pictures_done, 2)},
            "seconds_encoding_images": round(stats.encoding, 2),  # the rest is waiting for decoders
        },
        files={},
    )
    manifest.write(staging.folder)
    return manifest


def _reason(source: Source, staging: Staging) -> str:
    """Return why a source gave no items, and what to do."""
    if staging.quarantined:
        return f"{staging.quarantined} rows were rejected, see {staging.folder / FILES.quarantine}"
    return f"{source.root} has neither pictures nor prompts: put some there, or name another place"


@dataclass
class _Pictures:
    """Stores the items of a source."""

    staging: Staging
    cache: Cache
    stats: EncodeStats
    learn: Callable[[Item, bytes], None] | None
    enough: Callable[[EncodeStats], bool] | None
    interrupted: bool  # whether an earlier build did not end
    decoded: int = 0  # items with a decoded picture, whether new or from the cache
    partial: bool = False  # whether a part of the source was left out

    def store(self, items: Iterator[DecodedItem], progress: Progress) -> None:
        """Store every item, or as many as are enough."""
        for item, outcome in items:
            self._say_where(outcome)
            self._store(item, outcome)
            progress.add(1)
            if self.enough is not None and self.enough(self.stats):
                self.partial = True
                return

    def _say_where(self, outcome: Outcome | None) -> None:
        if self.interrupted and isinstance(outcome, Decoded) and outcome.crop is not None:
            self.interrupted = False
            if self.decoded:
                say(f"resuming at {self.decoded + 1:,}: the pictures before it are encoded already")

    def _store(self, item: Item | Rejected, outcome: Outcome | None) -> None:
        """Store one item or its rejection."""
        if isinstance(item, Rejected):
            self.staging.reject(item)
        elif isinstance(outcome, str):
            self.staging.reject(Rejected(item.source, outcome))
            if item.prompt is not None:
                self.staging.add(item, None)
        elif outcome is None:
            digest = None if item.vector is None else digest_of_vector(item.vector)
            self.staging.add(item, item.vector, digest=digest)
        else:
            picture = self.cache.picture(outcome.digest)
            assert picture is not None, "runners encode a picture before they yield it"
            self.staging.add(item, picture.vector, picture.size, picture.thumbnail, outcome.digest)
            self.decoded += 1
            if self.learn is not None:
                self.learn(item, outcome.digest)


@dataclass
class _PromptCounts:
    """Counts for the manifest."""

    encoded: int = 0  # distinct texts that were not cached; several prompts may share one
    known: int = 0  # prompts whose vector came from the cache, the source, or another prompt of the same text
    truncated: int = 0  # prompts that exceed the model's context


def _embed_prompts(
    runner: Runner, staging: Staging, cache: Cache, prompt_text: PromptText, truncation: TruncationCheck
) -> _PromptCounts:
    """Append every prompt's vector, and mark the prompts that the model truncates."""
    counts = _PromptCounts()
    with Progress("prompts", staging.counts()["prompts"]) as progress:
        for encoded in runner.texts(_new_texts(staging, cache, prompt_text, progress)):
            digests = [digest_of(text.encode()) for text in encoded.texts]
            cache.add_texts(digests, encoded.vectors.astype("<f2"), encoded.truncated)
            counts.encoded += len(encoded.texts)
            progress.add(len(encoded.texts))
    # A second pass, because a runner may read all texts before it yields the first vectors.
    row = 0
    for batch in staging.texts(TEXTS_AT_ONCE):
        texts = [_text_to_embed(prompt, prompt_text) for prompt, _ in batch]
        digests = [digest_of(text.encode()) for text in texts]
        known = cache.texts([digest for digest, (_, own) in zip(digests, batch, strict=True) if own is None])
        rows: list[Vector] = [
            known[digest].vector if own is None else own for digest, (_, own) in zip(digests, batch, strict=True)
        ]
        staging.prompts.append(np.stack(rows))
        truncated = _truncated(dict(zip(digests, texts, strict=True)), known, cache, truncation)
        for digest, (_, own) in zip(digests, batch, strict=True):
            if own is None and truncated[digest]:
                staging.mark_truncated(row)
                counts.truncated += 1
            row += 1
    counts.known = row - counts.encoded
    return counts


def _truncated(
    texts: Mapping[bytes, str], known: Mapping[bytes, CachedText], cache: Cache, truncation: TruncationCheck
) -> dict[bytes, bool]:
    """Return which of the known texts the model truncates; compute it if an older cache did not record it."""
    missing = {
        digest: truncation.is_truncated(texts[digest]) for digest, text in known.items() if text.truncated is None
    }
    if missing:
        cache.mark_truncated(missing)
    return {digest: bool(text.truncated) for digest, text in known.items()} | missing


def _new_texts(staging: Staging, cache: Cache, prompt_text: PromptText, progress: Progress) -> Iterator[list[str]]:
    """Yield, for each batch of prompts, the texts that have no vector yet; skip empty batches.

    The cache's key is the embedded text, so vectors of other `prompt_text` rules are never mixed in.
    """
    for batch in staging.texts(TEXTS_AT_ONCE):
        texts = (_text_to_embed(prompt, prompt_text) for prompt, own in batch if own is None)
        wanted = {digest_of(text.encode()): text for text in texts}
        known = cache.texts(list(wanted))
        new = [text for digest, text in wanted.items() if digest not in known]
        progress.add(len(batch) - len(new))
        if new:
            yield new
