"""Indices of a staged version: of its vectors (planned to a memory budget, built by autofaiss, tuned to a recall), of
its fields and of its prompts' words."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.errors import BuildError
from promptsearch.storage.manifest import FILES, KINDS, IndexInfo, Kind, Manifest

from ..progress import say
from ..versions.staging import staged_manifest, staging_folder
from .fields import write_fields
from .fulltext import write_words
from .index_file import Adder, add_here, build_index
from .index_key import MAX_MEMORY, RECALL_TARGET, IndexSpec, choose, fallbacks, named
from .reuse import Trained, trained_before
from .tuning import sample, tune

log = logging.getLogger(__name__)


def index(
    collection: Path,
    *,
    max_memory: int = MAX_MEMORY,
    recall: float = RECALL_TARGET,
    key: str | None = None,
    require_recall: bool = False,
    reuse: bool = False,
    add: Adder = add_here,
) -> Manifest:
    """Build the indices of the staged version; record them in its manifest and return it.

    `max_memory` bounds, in bytes, the memory of the build beyond the program itself, and so each index: see
    `index_key.choose`. `recall` is the recall@10 that searches are tuned to. If an index cannot reach it, one that
    finds more is built instead, if that fits; else it is recorded with what it reaches (`IndexInfo.reached`) or, with
    `require_recall`, is an error. `key` names the index of images. With `reuse`, the training and tuning of the served
    version's index are kept while few vectors have changed. `add` adds to indices that are not exact.

    Raises BuildError.
    """
    folder, manifest = staging_folder(collection), staged_manifest(collection)
    started = time.monotonic()
    say("writing the fields")
    write_fields(folder)
    say("indexing the words of the prompts")
    write_words(folder)
    dim = manifest.model.embedding_dim
    kinds = [kind for kind in KINDS if (folder / FILES.vectors(kind)).is_file()]
    bounds = {"max_memory": max_memory, "recall": recall, "key": key}
    before = trained_before(collection, manifest, bounds) if reuse else {}
    infos: dict[Kind, IndexInfo] = {}
    trained: dict[Kind, int] = {}  # the number of vectors that each index was trained and tuned with
    for kind in kinds:
        own_key = key if kind == "images" else None
        if (old := before.get(kind)) is not None and _suits(old, folder, kind, dim, max_memory, own_key):
            infos[kind] = old.fill(folder / FILES.vectors(kind), folder / FILES.index(kind), add)
            trained[kind] = old.vectors
        else:
            infos[kind] = index_vectors(folder, kind, dim, max_memory, recall, add, own_key)
            trained[kind] = infos[kind].vectors
    if require_recall:
        _require_reached(infos)
    seconds = {**manifest.build["seconds"], "index": round(time.monotonic() - started, 2)}
    manifest = replace(
        manifest,
        images=infos.get("images"),
        prompts=infos.get("prompts"),
        build={**manifest.build, "seconds": seconds, "index": bounds, "trained": trained},
    )
    manifest.write(folder)
    return manifest


def _suits(old: Trained, folder: Path, kind: Kind, dim: int, max_memory: int, key: str | None) -> bool:
    """Return whether the served version's index may be filled with the staged vectors."""
    count = len(np.load(folder / FILES.vectors(kind), mmap_mode="r"))
    spec = choose(count, dim, max_memory)
    keys = [key] if key is not None else [one.key for one in (spec, *fallbacks(spec, max_memory))]
    return old.suits(count, keys)


def index_vectors(
    folder: Path,
    kind: Kind,
    dim: int,
    max_memory: int,
    recall: float,
    add: Adder = add_here,
    key: str | None = None,
) -> IndexInfo:
    """Build the index of one kind from its vectors in `folder`; those of the other kind, if any, are queries, too.

    The index is that of `key`, or else the first that is chosen for the number of vectors and reaches the recall.
    """
    count = len(np.load(folder / FILES.vectors(kind), mmap_mode="r"))
    if key is not None:
        return _index_as(folder, kind, named(key, count, dim, max_memory), recall, add)
    spec = choose(count, dim, max_memory)
    info = _index_as(folder, kind, spec, recall, add)
    for other in fallbacks(spec, max_memory):
        if info.reached:
            break
        reached = min(info.recall_at_10.values())
        log.info("%s has a recall of %.3f, less than %s: trying %s", info.key, reached, recall, other.key)
        info = _index_as(folder, kind, other, recall, add)
    return info


def _index_as(folder: Path, kind: Kind, spec: IndexSpec, recall: float, add: Adder) -> IndexInfo:
    vectors = folder / FILES.vectors(kind)
    log.info("indexing %s %s as %s", f"{spec.count:,}", kind, spec.key)
    build_index(vectors, spec, folder / FILES.index(kind), add)
    info = IndexInfo(spec.key, spec.count, spec.exact, None if spec.exact else 1, {})
    queries = {
        "images" if other == "images" else "texts": sample(folder / FILES.vectors(other), own=other == kind)
        for other in KINDS
        if (folder / FILES.vectors(other)).is_file()
    }
    log.info("tuning the search of the index of %s", kind)
    return tune(VectorIndex.open(folder, kind, info, spec.dim), spec, vectors, queries, recall)


def _require_reached(infos: Mapping[Kind, IndexInfo]) -> None:
    for kind, info in infos.items():
        if not info.reached:
            raise BuildError(
                f"the index of {kind}, {info.key}, has a recall@10 of {min(info.recall_at_10.values()):.3f}, expected "
                f"{info.recall_target} (--require-recall): allow more --max-memory, or a lower --recall"
            )
