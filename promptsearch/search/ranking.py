"""The order of everything that answers a search, from the best on: what pages are cut out of.

An index that approximates proposes other candidates for another depth, so a ranking has fixed depths: its first places
are the best of a few candidates, the next ones the best of more of them that have no place yet, and so on. Every page,
whatever its size, is cut out of this one order: nothing is skipped and nothing comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from promptsearch.engines.engine import Engine, Rows, Scores
from promptsearch.engines.stages import Stage
from promptsearch.errors import ParameterError
from promptsearch.search.options import SCORE, Search
from promptsearch.storage.manifest import Kind

# Candidates that are proposed and scored exactly, and how many places they fill at most.
TIERS = ((200, 50), (3_000, 1_000), (12_000, 10_000))
MAX_PLACES = TIERS[-1][1]
FUSED = 60.0  # reciprocal rank fusion's constant (Cormack et al. 2009)


@dataclass(frozen=True)
class Ranked:
    """Rows from the best on and their cosines with the query (NaN without one)."""

    rows: Rows
    scores: Scores

    def __len__(self) -> int:
        return len(self.rows)

    def then(self, further: Ranked) -> Ranked:
        return Ranked(np.concatenate([self.rows, further.rows]), np.concatenate([self.scores, further.scores]))

    def first(self, count: int | None) -> Ranked:
        return Ranked(self.rows[:count], self.scores[:count])


class Rankings:
    """Those of one version of a collection; safe to use from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, search: Search, kind: Kind, stage: Stage) -> Iterator[Ranked]:
        """The ranking of items of `kind`, a tier at a time; raises ParameterError."""
        options, mode = search.options, search.options.mode
        sort = None if options.sort == SCORE else options.sort
        if sort is not None:
            self._check_sort(sort)
        if search.vector is None:
            rows = self._engine.list_rows(kind, MAX_PLACES, options.filter, sort, stage)
            yield Ranked(rows, np.full(len(rows), np.nan, dtype=np.float32))
            return
        found = None
        if mode != "semantic":
            assert search.words is not None
            found = Ranked(
                *self._engine.keyword_search(kind, search.words, search.vector, MAX_PLACES, options.filter, stage)
            )
            if mode == "keyword":
                yield found
                return
        placed = np.empty(0, dtype=np.int64)
        for depth, places in TIERS:
            ranked = self._engine.nearest(kind, search.vector, depth, options.filter, stage)
            last = len(ranked[0]) < depth
            rows, scores = ranked if found is None else _fused(ranked, found, MAX_PLACES if last else depth)
            if len(placed):
                new = ~np.isin(rows, placed)
                rows, scores = rows[new], scores[new]
            if not last or depth == TIERS[-1][0]:
                rows, scores = rows[: places - len(placed)], scores[: places - len(placed)]
            placed = np.concatenate([placed, rows])
            yield Ranked(rows, scores)
            if last:
                return

    def _check_sort(self, sort: str) -> None:
        name = sort.removeprefix("-")
        if name not in self._engine.fields:
            known = ", ".join(field.name for field in self._engine.fields)
            raise ParameterError(f"there is no field {name!r} to sort by; there are score, {known}")


def _fused(nearest: tuple[Rows, Scores], worded: Ranked, depth: int) -> tuple[Rows, Scores]:
    """Both orders in one, `depth` deep: what stands far up in either, and first what does in both."""
    with_words = worded.rows[:depth]
    rows = np.concatenate([nearest[0], with_words])
    scores = np.concatenate([nearest[1], worded.scores[:depth]])
    places = np.concatenate([np.arange(len(nearest[0])), np.arange(len(with_words))])
    unique, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    weights = np.bincount(inverse, weights=1.0 / (FUSED + 1 + places))
    order = np.argsort(-weights, kind="stable")
    return unique[order], scores[first[order]]
