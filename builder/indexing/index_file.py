"""Build a FAISS index from a file of vectors with autofaiss, in bounded memory.

autofaiss's `build_index` trains with the first rows of a file, which are alike in a sorted source; its reader queues
up to 2.5 GB; and it returns `(None, None)` on failure. Here its two steps, creating an empty index and adding to it,
are called with a reader of our own and training in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.system.cpus import available_cores
from promptsearch.system.faiss_blas import faiss
from promptsearch.system.float16 import to_float32
from promptsearch.system.malloc import trim_heap

from ..progress import Progress, say
from .autofaiss import add_embeddings_to_index_local, create_empty_index
from .index_key import IndexSpec

Vectors = NDArray[np.float32]
Adder = Callable[[faiss.Index, Path], faiss.Index]  # a trained index, a file of vectors -> the index with those
BLOCK = 32 << 20  # bytes of float32 that are read at a time
_PQ_ITERATIONS = 10  # k-means iterations of the quantiser that a rotation is found with; FAISS makes 40 the first time
_MAX_REPLICAS = 8  # of the centroids; then they are a fifth of what is trained with, at most


def add_here(index: faiss.Index, vectors: Path) -> faiss.Index:
    """Add the vectors of a `.npy` to a trained index on this machine."""
    # The reader bounds what is read at once.
    added, _ = add_embeddings_to_index_local(_Blocks(vectors), index, "1T")
    return added


def build_index(vectors: Path, spec: IndexSpec, path: Path, add: Adder = add_here) -> None:
    """Build the index that `spec` describes of a `.npy`, float16 [count, dim], and write it to `path`; ids are rows.

    `add` adds to an index with inverted lists; to an exact one, which is a copy of the vectors, they are added here.
    """
    count, dim = np.load(vectors, mmap_mode="r").shape
    index = create_empty_index(dim, spec.key, "ip")
    if not index.is_trained:
        say(f"training {spec.key} with {spec.training:,} vectors")
        sample = _sample(vectors, spec.training)
        _begin_rotation(index, sample)
        _train(index, sample)
    index = add_here(index, vectors) if spec.exact else add(index, vectors)
    assert index.ntotal == count
    faiss.write_index(index, str(path))


def _begin_rotation(index: faiss.Index, sample: Vectors) -> None:
    """Start the training of a rotation from a nearly optimal one.

    FAISS begins with a random rotation and improves it in 50 rounds, which take most of the time of an index of codes.
    It also accepts a start: the principal directions, distributed so that the product of the variances is about the
    same in each part of a code (Ge et al. 2013, Optimized Product Quantization, the parametric solution). From there
    one round is as good as 50, and it needs a quantiser no better trained than between two of those rounds.
    """
    index = faiss.downcast_index(index)
    if not isinstance(index, faiss.IndexPreTransform):
        return
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    if rotation.d_in != rotation.d_out:
        return
    subsample = sample[:: 1 + len(sample) // rotation.max_train_points].astype(np.float64)
    variances, directions = np.linalg.eigh(np.cov(subsample, rowvar=False))
    order = _balance_variance(variances[::-1], rotation.M)
    faiss.copy_array_to_vector(directions[:, ::-1][:, order].T.astype(np.float32).ravel(), rotation.A)
    rotation.niter = 1
    rotation.niter_pq_0 = _PQ_ITERATIONS


def _balance_variance(variances: NDArray[np.float64], parts: int) -> list[int]:
    """Return the directions of each part, by their rank of variance; all parts have as many."""
    size = len(variances) // parts
    ranks: list[list[int]] = [[] for _ in range(parts)]
    # Logarithms above 0, so that a part that has none yet comes first.
    log_variances = np.log(np.maximum(variances, 1e-12)) - np.log(1e-12) + 1e-12
    sums = np.zeros(parts)
    for number, value in enumerate(log_variances.tolist()):
        part = int(np.argmin(np.where([len(numbers) < size for numbers in ranks], sums, np.inf)))
        ranks[part].append(number)
        sums[part] += value
    return [number for part in ranks for number in part]


def _train(index: faiss.Index, sample: Vectors) -> None:
    """Train on every core.

    The centroids of the inverted lists need matrix products, which the BLAS in the faiss-cpu wheel computes in one
    thread. So copies of the index compute parts of them, each in its own thread; the centroids are the same.
    """
    ivf = faiss.extract_index_ivf(index)
    copies = [faiss.IndexFlat(ivf.d, ivf.metric_type) for _ in range(min(available_cores(), _MAX_REPLICAS))]
    replicas = faiss.IndexReplicas(ivf.d, True)
    for copy in copies:
        replicas.addIndex(copy)
    ivf.clustering_index = replicas
    # Queries whose distances lie in memory at a time, of each; it holds for the whole process.
    query_block = faiss.cvar.distance_compute_blas_query_bs
    faiss.cvar.distance_compute_blas_query_bs = query_block // len(copies)
    try:
        index.train(sample)
    finally:
        ivf.clustering_index = None
        faiss.cvar.distance_compute_blas_query_bs = query_block
    trim_heap()  # what each of the threads had


def blocks(vectors: Path) -> Iterator[tuple[int, Vectors]]:
    """Yield a `.npy` of float16 [count, dim] as float32 blocks, each with the number of its first row.

    The file is read, not mapped: mapped pages would count as memory of this process.
    """
    mapped = np.load(vectors, mmap_mode="r")
    count, dim = mapped.shape
    rows = max(1, BLOCK // (4 * dim))
    for start in range(0, count, rows):
        size = min(rows, count - start) * dim
        halves = np.fromfile(vectors, "<f2", size, offset=mapped.offset + 2 * start * dim)
        yield start, to_float32(halves.reshape(-1, dim))


class _Blocks:
    """An embedding reader for autofaiss: every vector in turn, without ids, which it does not use here."""

    def __init__(self, vectors: Path) -> None:
        self.count, self.dimension = np.load(vectors, mmap_mode="r").shape
        self._vectors = vectors

    def __call__(self, batch_size: int, start: int = 0, end: int | None = None) -> Iterator[tuple[Vectors, Any]]:
        """Yield all vectors, in batches that may be shorter than `batch_size`."""
        del batch_size, start, end
        with Progress("vectors indexed", self.count) as progress:
            for _, block in blocks(self._vectors):
                yield block, None
                progress.add(len(block))


def _sample(vectors: Path, size: int) -> Vectors:
    """Return `size` vectors drawn at random with a fixed seed, float32 [size, dim]."""
    count, dim = np.load(vectors, mmap_mode="r").shape
    rows = np.sort(np.random.default_rng(0).choice(count, size, replace=False))
    sample = np.empty((len(rows), dim), np.float32)
    for first, block in blocks(vectors):
        low, high = np.searchsorted(rows, (first, first + len(block)))
        sample[low:high] = block[rows[low:high] - first]
    return sample
