"""Tune how an index is searched: the cheapest setting that reaches a recall, measured with held-out queries.

Text vectors lie apart from image vectors, so an index of images that answers pictures well may answer texts badly
(clip-retrieval #76). Both indices are measured with both: vectors of the other kind, and vectors of the index's own
kind, each without itself as an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.engine import Rows
from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.storage.manifest import IndexInfo
from promptsearch.system.faiss_blas import faiss
from promptsearch.system.float16 import to_float32

from ..progress import Progress
from .index_file import Vectors, blocks
from .index_key import IndexSpec

QUERIES = 512  # of each kind to tune with, and as many others to measure with
_AT = 10  # recall is of the ten nearest
_TIES = 54  # further neighbours: those that score as high as the tenth are right as well
_MOST = 1_000  # candidates that are scored: above that, probing further lists takes less time
_NEAR_BEST = 0.002  # of recall: if the target is out of reach, a setting this near the best is enough
# Nanoseconds, medians of one thread with AVX-512 and 512 dimensions: a byte of a scanned vector, one of a scanned code,
# and a dimension of a candidate that is scored again (its row comes from anywhere in the file).
_SCAN_VECTOR, _SCAN_CODE, _RESCORE = 0.03, 0.4, 3.3


@dataclass(frozen=True)
class Queries:
    """Unit vectors, float32 [n, dim], and each query's own row in the searched index, or -1; int64 [n]."""

    vectors: Vectors
    own: NDArray[np.int64]

    def first(self, count: int) -> Queries:
        """Return the first `count` queries."""
        return Queries(self.vectors[:count], self.own[:count])

    def split(self) -> tuple[Queries, Queries]:
        """Return every other query to tune with, and the rest to measure with."""
        return Queries(self.vectors[::2], self.own[::2]), Queries(self.vectors[1::2], self.own[1::2])


def sample(vectors: Path, *, own: bool) -> Queries:
    """Draw rows of a `.npy` with a fixed seed; `own` if that is the file of the searched index."""
    mapped = np.load(vectors, mmap_mode="r")
    rows = np.random.default_rng(2).choice(len(mapped), min(2 * QUERIES, len(mapped)), replace=False)
    drawn = to_float32(mapped[rows])
    return Queries(drawn, rows.astype(np.int64) if own else np.full(len(rows), -1, np.int64))


class Truth:
    """The nearest vectors of some queries, found by an exact scan of `vectors`."""

    def __init__(self, vectors: Path, queries: Queries) -> None:
        self.queries = queries
        scores, rows = _scan(vectors, queries.vectors, 1 + _AT + _TIES)
        self._right: list[NDArray[np.int64]] = []
        self._wanted = np.empty(len(rows), np.int64)
        for number, own in enumerate(queries.own):
            others = rows[number] != own
            of, best = rows[number][others], scores[number][others]
            self._wanted[number] = wanted = min(_AT, len(of))
            self._right.append(of[best >= best[wanted - 1] - 1e-6] if wanted else of)

    def recall(self, index: VectorIndex, nprobe: int | None, most: int) -> NDArray[np.float64]:
        """Return the share of its ten nearest that each query finds with 1, 2, … `most` candidates scored; [n, most].

        Scores of candidates are exact, so a right row that is among them is among the first ten of the answer.
        """
        return self.share(index.propose(self.queries.vectors, min(most + 1, len(index)), nprobe), most)

    def share(self, candidates: Rows, most: int) -> NDArray[np.float64]:
        """Return the same for proposed rows of each query, best first, int64 [n, k]."""
        is_right = np.zeros((len(candidates), most))
        for number, (rows, own) in enumerate(zip(candidates, self.queries.own, strict=True)):
            others = rows[rows != own][:most]
            is_right[number, : len(others)] = np.isin(others, self._right[number])
        wanted = self._wanted[:, np.newaxis]
        hits = np.minimum(np.cumsum(is_right, axis=1), wanted)
        # Nothing wanted, as of a collection of one: nothing missed.
        return np.divide(hits, wanted, where=wanted > 0, out=np.ones_like(hits))


def tune(
    index: VectorIndex, spec: IndexSpec, vectors: Path, queries_by_kind: Mapping[str, Queries], target: float
) -> IndexInfo:
    """Return `index.info` with the cheapest setting that reaches `target` for every kind of query, and its recall.

    On one half of the queries, the setting's recall exceeds the target by two standard errors. The recorded recall is
    measured on the other half, with a costlier setting if it falls short. If nothing reaches the target, the cheapest
    setting near the best is used. An exact index finds everything, which takes no measuring.
    """
    if spec.exact:
        return replace(index.info, recall_at_10=dict.fromkeys(queries_by_kind, 1.0), recall_target=target)
    halves = [queries.split() for queries in queries_by_kind.values()]
    tuning = [Truth(vectors, half) for half, _ in halves]
    # A collection of one has no other queries.
    others = [
        Truth(vectors, others) if len(others.own) else truth for (_, others), truth in zip(halves, tuning, strict=True)
    ]
    tried: dict[int, NDArray[np.float64]] = {}
    info, short = index.info, 0.0
    while True:
        info = _cheapest(index, spec, tuning, target + short, tried)
        means = [truth.recall(index, info.nprobe, info.candidates or _AT)[:, -1].mean() for truth in others]
        recall = {name: round(float(value), 4) for name, value in zip(queries_by_kind, means, strict=True)}
        info = replace(info, recall_at_10=recall, recall_target=target)
        if info.reached or target + short > 1:
            return info
        short += max(target - min(recall.values()), _NEAR_BEST)


def _cheapest(
    index: VectorIndex, spec: IndexSpec, truths: list[Truth], target: float, tried: dict[int, NDArray[np.float64]]
) -> IndexInfo:
    """Return `index.info` with the cheapest `nprobe` and `candidates`.

    `tried` keeps what was measured: lists probed -> recall that is certain with 1, 2, … candidates.
    """
    most = min(_MOST, len(index))
    best = None
    steps = list(_steps(spec.lists))
    with Progress("settings tried", len(steps)) as progress:
        for nprobe in steps:
            if best and _cost(spec, nprobe, _AT) >= best[0]:
                break
            if nprobe not in tried:
                tried[nprobe] = np.min([_lower_bound(truth.recall(index, nprobe, most)) for truth in truths], axis=0)
            best = _best(spec, tried, target)
            progress.add(1)
    if best is None:
        best = _best(spec, tried, max(float(lower_bound[-1]) for lower_bound in tried.values()) - _NEAR_BEST)
        assert best is not None
    _, nprobe, candidates = best
    return replace(index.info, nprobe=nprobe, candidates=candidates)


def _best(spec: IndexSpec, tried: Mapping[int, NDArray[np.float64]], target: float) -> tuple[float, int, int] | None:
    """Return cost, lists and candidates of the cheapest that reaches the target."""
    reached = []
    for nprobe, lower_bound in tried.items():
        if (lower_bound >= target).any():
            candidates = max(_AT, int(np.argmax(lower_bound >= target)) + 1)
            reached.append((_cost(spec, nprobe, candidates), nprobe, candidates))
    return min(reached, default=None)


def _lower_bound(recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over queries [n, most] less two standard errors, [most]."""
    lower_bound: NDArray[np.float64] = recall.mean(axis=0) - 2 * recall.std(axis=0) / len(recall) ** 0.5
    return lower_bound


def _cost(spec: IndexSpec, nprobe: int, candidates: int) -> float:
    """Return about how many nanoseconds a query takes."""
    scan = _SCAN_CODE * spec.code if spec.code else _SCAN_VECTOR * 4 * spec.dim
    return spec.count * nprobe / spec.lists * scan + candidates * spec.dim * _RESCORE


def _steps(lists: int) -> Iterator[int]:
    """Yield 1, 2, 3, 4, 6, 8, 12, … and all lists."""
    step = 1
    while step < lists:
        yield step
        if step > 1 and step * 3 // 2 < lists:
            yield step * 3 // 2
        step *= 2
    yield lists


def _scan(vectors: Path, queries: Vectors, count: int) -> tuple[NDArray[np.float32], Rows]:
    """Return cosines and rows of the nearest, [n, at most count], best first."""
    total = len(np.load(vectors, mmap_mode="r"))
    heap = faiss.ResultHeap(len(queries), min(count, total), keep_max=True)
    with Progress("vectors compared", total) as progress:
        for start, block in blocks(vectors):
            scores, rows = faiss.knn(queries, block, min(count, len(block), total), metric=faiss.METRIC_INNER_PRODUCT)
            heap.add_result(scores, rows + start)
            progress.add(len(block))
    heap.finalize()
    return heap.D, heap.I
