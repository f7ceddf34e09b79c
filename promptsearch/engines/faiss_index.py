"""Nearest neighbours: a memory-mapped FAISS index proposes, the half-precision vectors decide.

Every score is the cosine of the query with the stored vector, whatever the index had to approximate, so scores
compare between pages, indices and versions. Search parameters travel with each call; a shared index is never changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.engine import Rows, Scores
from promptsearch.engines.row_set import RowSet
from promptsearch.engines.stages import Stage, untimed
from promptsearch.errors import CollectionError
from promptsearch.storage.manifest import FILES, IndexInfo, Kind
from promptsearch.system.faiss_blas import faiss
from promptsearch.system.float16 import to_float32

EXACT = 3_000  # rows that a filter leaves: to score them all takes less than to find those that are worth it
_WIDER = 0.3  # the rarer the rows that a filter leaves, the further apart they lie
_PROBED = 1024  # rows of an index without lists, to see that it can be searched
# Numbers that are scored at once: 120 KB stay in a core's cache from step to step, and are less than what malloc takes
# from the system each time (promptsearch/system/malloc.py).
_PART = 30_000


class VectorIndex:
    """The index and the vectors of one kind of item. A row number is FAISS id, `.npy` row and SQLite rowid at once."""

    def __init__(self, index: faiss.Index, vectors: NDArray[np.float16], info: IndexInfo) -> None:
        self._index = index
        self._vectors = vectors
        self._lists: int = faiss.extract_index_ivf(index).nlist if info.nprobe else 0
        self.info = info

    @classmethod
    def open(cls, folder: Path, kind: Kind, info: IndexInfo, embedding_dim: int) -> VectorIndex:
        """Map both files; raises CollectionError where they are damaged or do not belong together."""
        path = folder / FILES.index(kind)
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
            vectors = np.load(folder / FILES.vectors(kind), mmap_mode="r")
        except (RuntimeError, OSError, ValueError, EOFError) as error:
            raise CollectionError(f"the {kind} index in {folder} cannot be opened: {_first_line(error)}") from error
        for name, shape in ((path.name, (index.ntotal, index.d)), (FILES.vectors(kind), vectors.shape)):
            if shape != (info.vectors, embedding_dim):
                raise CollectionError(
                    f"{folder / name} holds {shape}, its manifest says {(info.vectors, embedding_dim)}: build it again"
                )
        return cls(index, vectors, info)

    def __len__(self) -> int:
        return self.info.vectors

    def vector(self, row: int) -> NDArray[np.float32]:
        """The stored vector of one row, float32 [embedding_dim]."""
        return to_float32(self._vectors[row])

    def vectors(self, rows: Rows) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [n, embedding_dim]."""
        return to_float32(self._vectors[rows])

    def propose(
        self, queries: NDArray[np.float32], count: int, nprobe: int | None, selection: RowSet | None = None
    ) -> Rows:
        """The rows that the index takes for the nearest of each unit vector, float32 [n, embedding_dim], best first.

        int64 [n, count]; -1 fills up where the `nprobe` nearest lists hold no more. None is for an index without lists.
        """
        found: Rows = self._index.search(queries, count, params=self._parameters(nprobe, selection))[1]
        return found

    def candidates(self, query: NDArray[np.float32], depth: int, selection: RowSet | None = None) -> Rows:
        """Rows to score for the `depth` nearest of a unit vector, float32 [embedding_dim]; ascending.

        More than `depth` where a compressed index needs them, fewer only where there are no more.
        """
        if selection is not None and len(selection) <= EXACT:
            return selection.rows
        available = len(self) if selection is None else len(selection)
        count = min(max(depth, self.info.candidates or 0), available)
        # As many lists as hold what is asked for on average. Lists are of all sizes, hence the loop.
        nprobe = self.info.nprobe and min(max(self._nprobe(available), count * self._lists // available), self._lists)
        [found] = self.propose(query[np.newaxis], count, nprobe, selection)
        while found[-1] < 0 and nprobe and nprobe < self._lists:
            nprobe = min(2 * nprobe, self._lists)
            [found] = self.propose(query[np.newaxis], count, nprobe, selection)
        rows: Rows = found[found >= 0]
        rows.sort()  # reads the vectors' file in order, and a stable sort by score then breaks ties by row
        return rows

    def cosines(self, rows: Rows, query: NDArray[np.float32]) -> Scores:
        """The cosine of each row's vector with a unit vector, float32 [embedding_dim]."""
        # Row by row: a matrix product adds up in an order that depends on where in the matrix a row stands, so that
        # equal vectors would differ in the last bit.
        together = max(1, _PART // len(query))
        parts = [
            np.vecdot(to_float32(self._vectors[rows[start : start + together]]), query)
            for start in range(0, len(rows), together)
        ]
        scores: Scores = np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
        return np.minimum(scores, 1.0, out=scores)  # in half precision a unit vector may be a little longer

    def search(
        self, query: NDArray[np.float32], depth: int, selection: RowSet | None = None, stage: Stage = untimed
    ) -> tuple[Rows, Scores]:
        """Up to `depth` nearest rows of a unit vector, float32 [embedding_dim]: rows and cosines, best first.

        Of those of `selection`, where one is given. Equal scores are ordered by row, so the same question always has
        the same answer.
        """
        with stage("search"):
            found = self.candidates(query, depth, selection)
        with stage("re-score"):
            scores = self.cosines(found, query)
            order = np.argsort(-scores, kind="stable")[:depth]
            return found[order], scores[order]

    def probe(self, query: NDArray[np.float32]) -> Rows:
        """Some row near a unit vector, float32 [embedding_dim]: int64 [1]; -1 where the lists it looks into are empty.

        Where a search reads every vector (an index without lists), this one reads the first few alone.
        """
        parameters = self._parameters(self.info.nprobe, None)
        if parameters is None:
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorRange(0, _PROBED))
        rows: Rows = self._index.search(query[np.newaxis], 1, params=parameters)[1][0]
        self.cosines(rows, query)
        return rows

    def _nprobe(self, available: int) -> int:
        """The lists to visit where a filter leaves so many rows."""
        assert self.info.nprobe is not None
        return int(self.info.nprobe * (len(self) / available) ** _WIDER)

    def _parameters(self, nprobe: int | None, selection: RowSet | None) -> faiss.SearchParameters | None:
        if nprobe is None:
            return None if selection is None else faiss.SearchParameters(sel=selection.selector)
        parameters = (
            faiss.SearchParametersIVF(nprobe=nprobe)
            if selection is None
            else faiss.SearchParametersIVF(nprobe=nprobe, sel=selection.selector)
        )
        if isinstance(self._index, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
