"""Nearest neighbours: a memory-mapped FAISS index proposes candidates, which half-precision vectors score exactly.

Every score is the cosine of the query and the stored vector, however approximate the index, so scores are comparable
between pages, indices and versions. Search parameters are passed with each call; a shared index is never changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.engine import Rows, Scores
from promptsearch.engines.row_set import RowSet
from promptsearch.engines.stages import Stage, untimed
from promptsearch.errors import CollectionError, one_line
from promptsearch.storage.manifest import FILES, IndexInfo, Kind
from promptsearch.system.faiss_blas import faiss
from promptsearch.system.float16 import to_float32

EXACT = 3_000  # up to this many allowed rows, scoring all of them is faster than a search of the index
_WIDER = 0.3  # exponent: the fewer rows are allowed, the further apart they lie, and the more lists are visited
_PROBED = 1024  # rows of an index without lists that `probe` reads
# Numbers that are scored at once: their 120 KB stay in a core's cache, and below malloc's threshold for mappings
# (promptsearch/system/malloc.py).
_PART = 30_000


_SAMPLE = 64  # vectors that are looked at when they are opened
_TOLERANCE = 0.01  # of a unit vector's length in half precision


class VectorIndex:
    """The index and vectors of one kind of item. A row number is the FAISS id, the `.npy` row and the SQLite rowid."""

    def __init__(self, index: faiss.Index, vectors: NDArray[np.float16], info: IndexInfo) -> None:
        self._index = index
        self._vectors = vectors
        self._lists: int = faiss.extract_index_ivf(index).nlist if info.nprobe else 0
        self.info = info

    @classmethod
    def open(cls, folder: Path, kind: Kind, info: IndexInfo, embedding_dim: int) -> VectorIndex:
        """Map both files into memory. Raises CollectionError if they are damaged or do not belong together."""
        path = folder / FILES.index(kind)
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
            vectors = np.load(folder / FILES.vectors(kind), mmap_mode="r")
        except (RuntimeError, OSError, ValueError, EOFError) as error:
            raise CollectionError(f"the {kind} index in {folder} cannot be opened: {one_line(error)}") from error
        for name, shape in ((path.name, (index.ntotal, index.d)), (FILES.vectors(kind), vectors.shape)):
            if shape != (info.vectors, embedding_dim):
                raise CollectionError(
                    f"{folder / name} has the shape {shape}, the manifest expects {(info.vectors, embedding_dim)}: "
                    "build the collection again"
                )
        _require_unit_length(folder / FILES.vectors(kind), vectors)
        return cls(index, vectors, info)

    def __len__(self) -> int:
        return self.info.vectors

    def vector(self, row: int) -> NDArray[np.float32]:
        """Return the stored vector of one row, float32 [embedding_dim]."""
        return to_float32(self._vectors[row])

    def vectors(self, rows: Rows) -> NDArray[np.float32]:
        """Return the stored vectors of these rows, float32 [n, embedding_dim]."""
        return to_float32(self._vectors[rows])

    def propose(
        self, queries: NDArray[np.float32], count: int, nprobe: int | None, allowed: RowSet | None = None
    ) -> Rows:
        """Return the rows that the index considers nearest to unit vectors, float32 [n, embedding_dim], best first.

        int64 [n, count], padded with -1 if the `nprobe` nearest lists have fewer rows. `nprobe` is None for an index
        without lists.
        """
        rows: Rows = self._index.search(queries, count, params=self._parameters(nprobe, allowed))[1]
        return rows

    def candidates(self, query: NDArray[np.float32], depth: int, allowed: RowSet | None = None) -> Rows:
        """Return the rows to score for the `depth` nearest of a unit vector, float32 [embedding_dim], ascending.

        More than `depth` for a compressed index; fewer only if there are no more rows.
        """
        if allowed is not None and len(allowed) <= EXACT:
            return allowed.rows
        available = len(self) if allowed is None else len(allowed)
        count = min(max(depth, self.info.candidates or 0), available)
        # As many lists as have `count` rows on average. Sizes of lists differ, hence the loop.
        nprobe = self.info.nprobe and min(max(self._nprobe(available), count * self._lists // available), self._lists)
        [proposed] = self.propose(query[np.newaxis], count, nprobe, allowed)
        while proposed[-1] < 0 and nprobe and nprobe < self._lists:
            nprobe = min(2 * nprobe, self._lists)
            [proposed] = self.propose(query[np.newaxis], count, nprobe, allowed)
        rows: Rows = proposed[proposed >= 0]
        rows.sort()  # reads the file of vectors in order, and lets a stable sort by score break ties by row
        return rows

    def cosines(self, rows: Rows, query: NDArray[np.float32]) -> Scores:
        """Return the cosine of each row's vector and a unit vector, float32 [embedding_dim]."""
        # Row by row: the order of additions in a matrix product depends on a row's place in the matrix, so that
        # equal vectors would differ in the last bit.
        together = max(1, _PART // len(query))
        parts = [
            np.vecdot(to_float32(self._vectors[rows[start : start + together]]), query)
            for start in range(0, len(rows), together)
        ]
        scores: Scores = np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
        return np.minimum(scores, 1.0, out=scores)  # rounding to half precision may lengthen a unit vector

    def search(
        self, query: NDArray[np.float32], depth: int, allowed: RowSet | None = None, stage: Stage = untimed
    ) -> tuple[Rows, Scores]:
        """Return up to `depth` nearest rows of a unit vector, float32 [embedding_dim], and their cosines, best first.

        `allowed`: the rows to choose from (default: all). Equal scores are ordered by row, so the same query always has
        the same results.
        """
        with stage("search"):
            rows = self.candidates(query, depth, allowed)
        with stage("re-score"):
            scores = self.cosines(rows, query)
            order = np.argsort(-scores, kind="stable")[:depth]
            return rows[order], scores[order]

    def probe(self, query: NDArray[np.float32]) -> Rows:
        """Return some row near a unit vector, float32 [embedding_dim], as int64 [1]; -1 if the visited lists are empty.

        Of an index without lists, of which a search reads every vector, only the first few are read.
        """
        parameters = self._parameters(self.info.nprobe, None)
        if parameters is None:
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorRange(0, _PROBED))
        rows: Rows = self._index.search(query[np.newaxis], 1, params=parameters)[1][0]
        self.cosines(rows, query)
        return rows

    def _nprobe(self, available: int) -> int:
        """Return how many lists to visit if so many rows are available."""
        assert self.info.nprobe is not None
        return int(self.info.nprobe * (len(self) / available) ** _WIDER)

    def _parameters(self, nprobe: int | None, allowed: RowSet | None) -> faiss.SearchParameters | None:
        if nprobe is None:
            return None if allowed is None else faiss.SearchParameters(sel=allowed.selector)
        parameters = (
            faiss.SearchParametersIVF(nprobe=nprobe)
            if allowed is None
            else faiss.SearchParametersIVF(nprobe=nprobe, sel=allowed.selector)
        )
        if isinstance(self._index, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def _require_unit_length(path: Path, vectors: np.memmap[Any, np.dtype[np.float16]]) -> None:
    """Raise CollectionError if a sample of the vectors is not of unit length, as those of a damaged model.

    The sample is read, not mapped: the kernel maps up to 2 MB around each row, which would count as memory of the
    process.
    """
    count, dim = vectors.shape
    rows = np.unique(np.linspace(0, max(0, count - 1), min(_SAMPLE, count)).astype(np.int64)).tolist()
    sample = [np.fromfile(path, vectors.dtype, dim, offset=vectors.offset + 2 * dim * row) for row in rows]
    lengths = np.linalg.norm(to_float32(np.array(sample, dtype=np.float16).reshape(-1, dim)), axis=-1)
    if not (np.abs(lengths - 1) < _TOLERANCE).all():  # false for NaN
        raise CollectionError(f"{path} has vectors that are not finite or of unit length: build the collection again")
