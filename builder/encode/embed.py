"""Embed a source's items and write them to a staged version.

Vectors of content that was encoded before come from the cache (see `cache`), so interrupted builds resume. A runner
(see `runners`) encodes the rest. Results are stored in the source's order: ids, rows and counts do not depend on the
runner.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.prompt_text import PromptText, rules, text_to_embed
from promptsearch.errors import BuildError
from promptsearch.storage.digests import digest_of, digest_of_vector
from promptsearch.storage.manifest import Manifest, ModelReference

from ..progress import Progress
from ..sources import Item, Rejected, Source
from ..sources.inputs.storable import storable
from ..versions.removal import require_most_kept
from ..versions.staging import Staging
from ..versions.versions import version_name
from .cache import Cache, CachedText, Vector
from .decoding import Outcome
from .runners import EncodeStats, Runner
from .truncation import TruncationCheck

TEXTS_AT_ONCE = 4096  # enough for batches of texts of similar length


def embed(
    source: Source,
    runner: Runner,
    bundle: Bundle,
    collection: Path,
    *,
    engine_name: str,
    prompt_text: PromptText = "plain",
    allow_removal: bool = False,
) -> Manifest:
    """Stage `source` for the collection in that folder; return the manifest without indexes and files.

    Rejections go to the quarantine file and the rest is built: of a picture that does not decode, the prompt and
    settings are kept. Raises BuildError if nothing is left or, without `allow_removal`, less than half of the items
    that are served now.
    """
    started = time.monotonic()
    stats = EncodeStats()
    with Staging(collection, bundle.embedding_dim) as staging, Cache(collection, bundle) as cache:
        decoded = _embed_items(source, runner, staging, cache, stats)
        pictures_done = time.monotonic()
        prompts = _embed_prompts(runner, staging, cache, prompt_text, TruncationCheck(bundle))
        counts = staging.counts()
        if not allow_removal:
            require_most_kept(collection, counts)
        if not counts["prompts"] and not counts["images"]:
            raise BuildError(
                f"the source has nothing to build from: {counts['quarantined']} rows were rejected, "
                f"see {staging.folder / 'quarantine.csv'}"
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
            "encoded": {"images": stats.encoded, "prompts": prompts.encoded},
            "from_cache": {"images": decoded - stats.encoded, "prompts": prompts.known},
            "prompt_text": rules(prompt_text),
            "prompts_truncated": prompts.truncated,
            "images_a_second": round(stats.encoded / (pictures_done - started), 2) if stats.encoded else None,
            "seconds": {"images": round(pictures_done - started, 2), "prompts": round(done - pictures_done, 2)},
            "seconds_encoding_images": round(stats.encoding, 2),  # the rest is waiting for decoders
        },
        files={},
    )
    manifest.write(staging.folder)
    return manifest


def _embed_items(source: Source, runner: Runner, staging: Staging, cache: Cache, stats: EncodeStats) -> int:
    """Store every item; return how many have a decoded picture, whether new or from the cache."""
    decoded = 0
    with Progress("items", source.count()) as progress:
        for item, outcome in runner.pictures(map(storable, source.items()), cache, stats):
            decoded += _store(item, outcome, staging, cache)
            progress.add(1)
    return decoded


def _store(item: Item | Rejected, outcome: Outcome | None, staging: Staging, cache: Cache) -> bool:
    """Store one item or its rejection; return whether it has a decoded picture."""
    if isinstance(item, Rejected):
        staging.reject(item)
    elif isinstance(outcome, str):
        staging.reject(Rejected(item.source, outcome))
        if item.prompt is not None:
            staging.add(item, None)
    elif outcome is None:
        staging.add(item, item.vector, digest=None if item.vector is None else digest_of_vector(item.vector))
    else:
        picture = cache.picture(outcome.digest)
        assert picture is not None, "runners encode a picture before they yield it"
        staging.add(item, picture.vector, picture.size, picture.thumbnail, outcome.digest)
        return True
    return False


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
        texts = [text_to_embed(prompt, prompt_text) for prompt, _ in batch]
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
    """Return which of the known texts the model truncates; find out what the cache of an earlier release lacks."""
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
        texts = (text_to_embed(prompt, prompt_text) for prompt, own in batch if own is None)
        wanted = {digest_of(text.encode()): text for text in texts}
        known = cache.texts(list(wanted))
        new = [text for digest, text in wanted.items() if digest not in known]
        progress.add(len(batch) - len(new))
        if new:
            yield new
