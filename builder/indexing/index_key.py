"""The choice of the FAISS index, by the number of vectors, their dimensions and the memory allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from promptsearch.errors import BuildError

from ..sizes import format_size

MAX_MEMORY = 4 << 30  # bytes that an index and its building may take, by default
RECALL_TARGET = 0.98  # recall@10 that searches are tuned to, by default
EXACT_UP_TO = 50_000  # vectors; an exact scan of so many takes a few milliseconds
COMPRESSED_FROM = 10_000  # vectors; FAISS wants 39 training vectors for each of the 256 centroids
SMALLER_FROM = 100_000  # vectors; from here on codes are scanned, and the best scored again, faster than vectors are
_IDS = 8  # bytes that an inverted list spends on each vector's row number
_PER_LIST = 40  # training vectors for each inverted list; FAISS requires 39 or more; more do not improve recall
_OPQ_ROWS = 256 * 256  # FAISS, VectorTransform.cpp: OPQMatrix::train takes no more
_GROWTH = 1.35  # an inverted list doubles its room when it is full and moves; measured over all lists: 1.1 to 1.3
_OVERHEAD = 96 << 20  # bytes: blocks of vectors on their way in, in both precisions, and what FAISS keeps at hand


@dataclass(frozen=True)
class IndexSpec:
    """An index to build, and what it takes."""

    key: str  # FAISS's factory string
    count: int  # vectors
    dim: int
    lists: int  # inverted lists; 0 if every vector is scanned
    code: int  # bytes of a compressed vector; 0 if vectors are kept whole
    training: int  # vectors to train with
    index_bytes: int  # on disk, and in memory when everything is in
    peak_bytes: int  # the most that building it takes

    @property
    def exact(self) -> bool:
        """Return whether every vector is scanned."""
        return self.lists == 0


def choose(count: int, dim: int, budget: int) -> IndexSpec:
    """Return the index of `count` vectors of `dim` dimensions, whose building fits into `budget` bytes.

    1. Up to 50,000 vectors `Flat`: exact, and still a few milliseconds.
    2. From 100,000 `OPQ{m}_{m·s},IVF{lists},PQ{m}x8`: each vector as m bytes, an eighth of the dimension, in about
       4·√count inverted lists, of which a search reads a few; its candidates are scored again from the vectors. With
       512 dimensions it takes 72 bytes a vector.
    3. Else `IVF{lists},Flat`, if it fits: the vectors themselves, and a search reads as many of them as in 2. It
       takes 4·dim + 8 bytes a vector, and less memory to build than codes.
    4. Else codes as in 2, with fewer lists, so that less is to be trained, or of a sixteenth or a thirty-second.

    Raises BuildError with the least memory that is enough if nothing fits.
    """
    least = None
    for spec in specs(count, dim):
        if spec.peak_bytes <= budget:
            return spec
        least = min(least or spec.peak_bytes, spec.peak_bytes)
    assert least is not None
    raise BuildError(
        f"{count} vectors of {dim} dimensions cannot be indexed in {format_size(budget)}: "
        f"allow at least --max-memory {least // 2**20 + 1}M"
    )


def fallbacks(spec: IndexSpec, budget: int) -> Iterator[IndexSpec]:
    """Yield what finds more than `spec` and fits into `budget` bytes: for codes, the vectors in lists, then all."""
    if spec.exact:
        return
    whole = [] if spec.code == 0 else [_in_lists(spec.count, spec.dim, lists_for(spec.count))]
    yield from (one for one in (*whole, _flat(spec.count, spec.dim)) if one.peak_bytes <= budget)


def named(key: str, count: int, dim: int, budget: int) -> IndexSpec:
    """Return the index of a key in one of the forms that `choose` returns. Raises BuildError for others."""
    spec = _parsed(key, count, dim)
    if spec is None or _PER_LIST * spec.lists > count:
        raise BuildError(
            f"--index-key: expected Flat, IVF<lists>,Flat or OPQ<bytes>_<dimensions>,IVF<lists>,PQ<bytes>x8 for "
            f"{count} vectors of {dim} dimensions, which are enough to train {count // _PER_LIST} lists, got {key!r}"
        )
    if spec.peak_bytes > budget:
        raise BuildError(
            f"--index-key: {key} takes {format_size(spec.peak_bytes)}, more than the {format_size(budget)} that "
            f"--max-memory allows"
        )
    return spec


def _parsed(key: str, count: int, dim: int) -> IndexSpec | None:
    if key == "Flat":
        return _flat(count, dim)
    if in_lists := re.fullmatch(r"IVF([1-9]\d*),Flat", key):
        return _in_lists(count, dim, int(in_lists[1]))
    coded = re.fullmatch(r"OPQ(\d+)_(\d+),IVF([1-9]\d*),PQ(\d+)x8", key)
    if coded and coded[1] == coded[4] and 0 < int(coded[1]) <= dim and int(coded[2]) == _rotated(dim, int(coded[1])):
        return _coded(count, dim, int(coded[1]), int(coded[3]))
    return None


def lists_for(count: int) -> int:
    """Return the number of inverted lists: a power of two near four times the square root, as FAISS advises."""
    lists = 1
    while lists * 2 <= 4 * 2**0.5 * count**0.5 and lists * 2 * _PER_LIST <= count:
        lists *= 2
    return lists


def specs(count: int, dim: int) -> Iterator[IndexSpec]:
    """Yield the indices that can be built, best first."""
    if count <= EXACT_UP_TO:
        yield _flat(count, dim)
    lists = lists_for(count)
    compressed = [spec for divisor in (8, 16, 32) for spec in _compressed(count, dim, max(1, dim // divisor), lists)]
    if count >= SMALLER_FROM:
        yield from compressed[:1]
    if count > EXACT_UP_TO:
        yield _in_lists(count, dim, lists)
    yield from compressed


def _flat(count: int, dim: int) -> IndexSpec:
    vectors = 4 * dim * count
    # Room doubles when it is full, and the old room is copied from.
    return IndexSpec("Flat", count, dim, 0, 0, 0, vectors, 2 * vectors + _OVERHEAD)


def _in_lists(count: int, dim: int, lists: int) -> IndexSpec:
    training = min(count, _PER_LIST * lists)
    size = 4 * dim * count + count * _IDS + 4 * dim * lists
    peak = max(int(_GROWTH * size), int(1.5 * 4 * dim * training)) + _OVERHEAD
    return IndexSpec(f"IVF{lists},Flat", count, dim, lists, 0, training, size, peak)


def _rotated(dim: int, code: int) -> int:
    """Return the dimensions after the rotation: the quantiser wants parts of one length."""
    return -(-dim // code) * code


def _coded(count: int, dim: int, code: int, lists: int) -> IndexSpec:
    rotated = _rotated(dim, code)
    training = min(count, max(_PER_LIST * lists, COMPRESSED_FROM))
    size = count * (code + _IDS) + 4 * (lists * rotated + dim * rotated + 256 * rotated)
    # The sample and its rotation; to find the rotation, four more copies of at most 65,536 vectors.
    train = 4 * max(dim, rotated) * (2 * training + 4 * min(training, _OPQ_ROWS))
    peak = max(int(_GROWTH * size), train) + _OVERHEAD
    return IndexSpec(f"OPQ{code}_{rotated},IVF{lists},PQ{code}x8", count, dim, lists, code, training, size, peak)


def _compressed(count: int, dim: int, code: int, lists: int) -> Iterator[IndexSpec]:
    """Yield product quantisers of `code` bytes a vector, with fewer and fewer lists; none for too few vectors."""
    if count < COMPRESSED_FROM or dim < 8:
        return
    for some in (lists, lists // 2, lists // 4, lists // 8):
        if 100 * some < COMPRESSED_FROM:  # autofaiss trains with at most 100 vectors a list
            return
        yield _coded(count, dim, code, some)
