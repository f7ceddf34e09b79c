"""Indices of a staged version: of its vectors (planned to a memory budget, built by autofaiss, tuned to a recall), of
its fields and of its prompts' words."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.storage.manifest import FILES, KINDS, IndexInfo, Kind, Manifest

from ..versions.staging import staged_manifest, staging_folder
from .fields import write_fields
from .fulltext import write_words
from .index_file import Adder, add_here, build_index
from .index_key import MAX_MEMORY, RECALL_TARGET, choose
from .tuning import sample, tune

log = logging.getLogger(__name__)


def index(
    collection: Path, *, max_memory: int = MAX_MEMORY, recall: float = RECALL_TARGET, add: Adder = add_here
) -> Manifest:
    """Build the indices of the staged version; record them in its manifest and return it.

    `max_memory` bounds, in bytes, the memory of the build beyond the program itself, and so each index: see
    `index_key.choose`. `recall` is the recall@10 that searches are tuned to; an index that
    cannot reach it is recorded with what it reaches (`IndexInfo.reached`). `add` adds to indices that are not exact.
    Raises BuildError.
    """
    folder, manifest = staging_folder(collection), staged_manifest(collection)
    started = time.monotonic()
    write_fields(folder)
    write_words(folder)
    dim = manifest.model.embedding_dim
    kinds = [kind for kind in KINDS if (folder / FILES.vectors(kind)).is_file()]
    infos = {kind: index_vectors(folder, kind, dim, max_memory, recall, add) for kind in kinds}
    seconds = {**manifest.build["seconds"], "index": round(time.monotonic() - started, 2)}
    manifest = replace(
        manifest,
        images=infos.get("images"),
        prompts=infos.get("prompts"),
        build={**manifest.build, "seconds": seconds},
    )
    manifest.write(folder)
    return manifest


def index_vectors(
    folder: Path, kind: Kind, dim: int, max_memory: int, recall: float, add: Adder = add_here
) -> IndexInfo:
    """Build the index of one kind from its vectors in `folder`; those of the other kind, if any, serve as queries."""
    vectors = folder / FILES.vectors(kind)
    count = len(np.load(vectors, mmap_mode="r"))
    spec = choose(count, dim, max_memory)
    log.info("indexing %s %s as %s", f"{count:,}", kind, spec.key)
    build_index(vectors, spec, folder / FILES.index(kind), add)
    info = IndexInfo(spec.key, count, spec.exact, None if spec.exact else 1, {})
    queries = {
        "images" if other == "images" else "texts": sample(folder / FILES.vectors(other), own=other == kind)
        for other in KINDS
        if (folder / FILES.vectors(other)).is_file()
    }
    log.info("tuning the search of the index of %s", kind)
    return tune(VectorIndex.open(folder, kind, info, dim), spec, vectors, queries, recall)
