"""A file of vectors to a FAISS index, by autofaiss, in bounded memory.

autofaiss's `build_index` trains on the first rows of a file, which in a sorted source are all alike; its reader keeps
up to 2.5 GB of pieces waiting; and it returns `(None, None)` for what it cannot do. So its two steps, training and
adding, are called here with readers of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from autofaiss.external.metadata import IndexMetadata
from autofaiss.indices.build import add_embeddings_to_index_local
from autofaiss.indices.training import create_and_train_new_index
from numpy.typing import NDArray

from builder.index_key import Plan

Vectors = NDArray[np.float32]
BLOCK = 32 << 20  # bytes of float32 that are read at a time


def build_index(vectors: Path, plan: Plan, path: Path) -> None:
    """Build what `plan` says of a `.npy`, float16 [count, dim], and write it to `path`; ids are row numbers."""
    count, dim = np.load(vectors, mmap_mode="r").shape
    metadata = IndexMetadata(plan.key, count, dim)
    # The readers bound what is read at once; autofaiss's own estimate would cut the sample below what FAISS asks for.
    unbounded = "1T"
    index = create_and_train_new_index(_Sample(vectors, plan.training), plan.key, metadata, "ip", unbounded)
    index, _ = add_embeddings_to_index_local(_Blocks(vectors), index, unbounded)
    assert index.ntotal == count
    faiss.write_index(index, str(path))


def blocks(vectors: Path) -> Iterator[tuple[int, Vectors]]:
    """A `.npy` of float16 [count, dim] as float32, some rows at a time, each with the number of its first.

    Read, not mapped: mapped pages would count as this process's memory for as long as they are there.
    """
    mapped = np.load(vectors, mmap_mode="r")
    count, dim = mapped.shape
    rows = max(1, BLOCK // (4 * dim))
    for start in range(0, count, rows):
        size = min(rows, count - start) * dim
        halves = np.fromfile(vectors, "<f2", size, offset=mapped.offset + 2 * start * dim)
        yield start, halves.reshape(-1, dim).astype(np.float32)


class _Blocks:
    """What autofaiss asks of an embedding reader: every vector in turn, with ids that it makes no use of."""

    def __init__(self, vectors: Path) -> None:
        self.count, self.dimension = np.load(vectors, mmap_mode="r").shape
        self._vectors = vectors

    def __call__(self, batch_size: int, start: int = 0, end: int | None = None) -> Iterator[tuple[Vectors, Any]]:
        """Batches may be shorter than asked for."""
        del batch_size, start, end
        for _, block in blocks(self._vectors):
            yield block, None


class _Sample:
    """The same of so many vectors, drawn evenly at random with a fixed seed: one batch."""

    def __init__(self, vectors: Path, size: int) -> None:
        count, self.dimension = np.load(vectors, mmap_mode="r").shape
        self.count = size
        self._rows = np.sort(np.random.default_rng(0).choice(count, size, replace=False))
        self._vectors = vectors

    def __call__(self, batch_size: int, start: int = 0, end: int | None = None) -> Iterator[tuple[Vectors, Any]]:
        assert batch_size == self.count
        del start, end
        rows = self._rows
        sample = np.empty((len(rows), self.dimension), np.float32)
        for first, block in blocks(self._vectors):
            low, high = np.searchsorted(rows, (first, first + len(block)))
            sample[low:high] = block[rows[low:high] - first]
        yield sample, None
