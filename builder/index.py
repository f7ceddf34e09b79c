"""autofaiss indices of a staged version's vectors, with their recall measured against an exact scan."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
from autofaiss import build_index
from numpy.typing import NDArray

from builder.staging import staged_manifest, staging_folder
from promptsearch.errors import BuildError
from promptsearch.index import VectorIndex
from promptsearch.manifest import FILES, KINDS, IndexInfo, Kind, Manifest

EXACT_UP_TO = 50_000  # vectors; an exact scan of so many takes a few milliseconds
RECALL_TARGET = 0.98  # recall@10 that the search parameters are tuned to
_SAMPLE = 256  # queries


def index(collection: Path) -> Manifest:
    """Build the indices of what is staged and record them in its manifest, which is returned."""
    folder, manifest = staging_folder(collection), staged_manifest(collection)
    started = time.monotonic()
    dim = manifest.model.embedding_dim
    made = {kind: _index(folder, kind, dim) for kind in KINDS if (folder / FILES.vectors(kind)).is_file()}
    seconds = {**manifest.build["seconds"], "index": round(time.monotonic() - started, 2)}
    manifest = replace(
        manifest,
        images=made.get("images"),
        prompts=made.get("prompts"),
        build={**manifest.build, "seconds": seconds},
    )
    manifest.write(folder)
    return manifest


def _index(folder: Path, kind: Kind, dim: int) -> IndexInfo:
    vectors = np.load(folder / FILES.vectors(kind), mmap_mode="r")
    exact = len(vectors) <= EXACT_UP_TO
    key = "Flat" if exact else f"IVF{_lists(len(vectors))},Flat"
    path = folder / FILES.index(kind)
    _autofaiss(folder / FILES.vectors(kind), path, key)
    info = IndexInfo(key=key, vectors=len(vectors), exact=exact, nprobe=None if exact else 1, recall_at_10={})
    queries = {"images" if k == "images" else "texts": _queries(folder, k) for k in KINDS}
    truth = {name: _exact(vectors, sample) for name, sample in queries.items() if sample is not None}
    while True:
        searched = VectorIndex.open(folder, kind, info, dim)
        recall = {name: _recall(searched, queries[name], found) for name, found in truth.items()}
        info = replace(info, recall_at_10=recall)
        if info.nprobe is None or min(recall.values()) >= RECALL_TARGET or info.nprobe >= _lists(len(vectors)):
            return info
        info = replace(info, nprobe=info.nprobe * 2)


def _autofaiss(vectors: Path, path: Path, key: str) -> None:
    memory = _available_memory()
    # autofaiss reads every .npy below a folder, whose path it takes as a glob pattern.
    # Its progress bars, one a step of less than a second each, tell nobody anything.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        (Path(folder) / "vectors.npy").symlink_to(vectors.absolute())
        # It returns (None, None) for what it cannot build, instead of raising.
        built, _ = build_index(
            embeddings=folder,
            save_on_disk=False,  # saving ends in a json.dump of numpy 2's float32
            index_key=key,
            index_param="" if key == "Flat" else "nprobe=1",  # tuned below, to a recall instead of a time
            metric_type="ip",
            # It refuses to start where the index may take more than nine tenths of the memory.
            max_index_memory_usage=f"{memory * 8 // 10}KB",
            current_memory_available=f"{memory}KB",
            should_be_memory_mappable=True,
            verbose=logging.ERROR,
        )
    if built is None:
        raise BuildError(f"autofaiss could not build {key} of {vectors}: too little memory, or no vectors")
    faiss.write_index(built, str(path))


def _available_memory() -> int:
    """KB that can be had without swapping: free memory, and what holds nothing but copies of files."""
    [line] = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")]
    return int(line.split()[1])


def _lists(vectors: int) -> int:
    """Inverted lists: a power of two near four times the square root, as FAISS advises."""
    return int(2 ** round(np.log2(4 * np.sqrt(vectors))))


def _queries(folder: Path, kind: Kind) -> NDArray[np.float32] | None:
    path = folder / FILES.vectors(kind)
    if not path.is_file():
        return None
    vectors = np.load(path, mmap_mode="r")
    rows = np.random.default_rng(0).choice(len(vectors), size=min(_SAMPLE, len(vectors)), replace=False)
    queries: NDArray[np.float32] = vectors[np.sort(rows)].astype(np.float32)
    return queries


def _exact(vectors: NDArray[np.float16], queries: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of the ten nearest of each query, by an exact scan in blocks; int64 [queries, at most 10]."""
    heap = faiss.ResultHeap(len(queries), min(10, len(vectors)), keep_max=True)
    for start in range(0, len(vectors), 100_000):
        block = vectors[start : start + 100_000].astype(np.float32)
        scores, rows = faiss.knn(queries, block, min(10, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        heap.add_result(scores, rows + start)
    heap.finalize()
    found: NDArray[np.int64] = heap.I
    return found


def _recall(searched: VectorIndex, queries: NDArray[np.float32] | None, truth: NDArray[np.int64]) -> float:
    """Share of the truly nearest that a search finds. Others with a score as high as the last are as right."""
    assert queries is not None
    hits = 0
    for query, expected in zip(queries, truth, strict=True):
        _, scores = searched.search(query, 100)
        last = min(float(searched.vector(row) @ query) for row in expected)
        hits += min(len(expected), int((scores[: len(expected)] >= last - 1e-6).sum()))
    return round(hits / truth.size, 4)
