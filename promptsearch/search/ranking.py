"""Rankings: the order of all results of a search, from which pages are cut.

An approximate index proposes different candidates for different depths, so a ranking has fixed depths (tiers): its
first places are the best of a few candidates, the next ones the best of more candidates that have no place yet, and so
on. Every page, of any size, is cut from this one order, so no result is skipped or repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from promptsearch.engines.engine import Engine, Rows, Scores
from promptsearch.engines.stages import Stage
from promptsearch.errors import ParameterError, excerpt
from promptsearch.search.options import SCORE, Search
from promptsearch.storage.manifest import Kind

# Candidates that are scored exactly, and the last place that they fill.
TIERS = ((200, 50), (3_000, 1_000), (12_000, 10_000))
MAX_PLACES = TIERS[-1][1]
RRF_CONSTANT = 60.0  # of reciprocal rank fusion (Cormack et al. 2009)


@dataclass(frozen=True)
class Ranked:
    """Rows, best first, and their cosines with the query (NaN without a query)."""

    rows: Rows
    scores: Scores

    def __len__(self) -> int:
        return len(self.rows)

    def concat(self, other: Ranked) -> Ranked:
        """Return these rows followed by those of `other`."""
        return Ranked(np.concatenate([self.rows, other.rows]), np.concatenate([self.scores, other.scores]))

    def first(self, count: int | None) -> Ranked:
        """Return the first `count` rows; all for None."""
        return Ranked(self.rows[:count], self.scores[:count])


class Rankings:
    """Ranks the items of one version of a collection; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, search: Search, kind: Kind, stage: Stage) -> Iterator[Ranked]:
        """Yield the ranking of items of `kind`, one tier at a time. Raises ParameterError."""
        options, mode = search.options, search.options.mode
        sort = None if options.sort == SCORE else options.sort
        if sort is not None:
            self._check_sort(sort)
        if search.vector is None:
            rows = self._engine.list_rows(kind, MAX_PLACES, options.filter, sort, stage)
            yield Ranked(rows, np.full(len(rows), np.nan, dtype=np.float32))
            return
        by_words = None
        if mode != "semantic":
            assert search.words is not None
            by_words = Ranked(
                *self._engine.keyword_search(kind, search.words, search.vector, MAX_PLACES, options.filter, stage)
            )
            if mode == "keyword":
                yield by_words
                return
        seen = np.empty(0, dtype=np.int64)
        for depth, places in TIERS:
            ranked = self._engine.nearest(kind, search.vector, depth, options.filter, stage)
            last = len(ranked[0]) < depth
            rows, scores = ranked if by_words is None else _fuse(ranked, by_words, MAX_PLACES if last else depth)
            if len(seen):
                new = ~np.isin(rows, seen)
                rows, scores = rows[new], scores[new]
            if not last or depth == TIERS[-1][0]:
                rows, scores = rows[: places - len(seen)], scores[: places - len(seen)]
            seen = np.concatenate([seen, rows])
            yield Ranked(rows, scores)
            if last:
                return

    def _check_sort(self, sort: str) -> None:
        name = sort.removeprefix("-")
        if name not in self._engine.fields:
            known = ", ".join(field.name for field in self._engine.fields)
            raise ParameterError(f"there is no field {excerpt(name)!r} to sort by; sort by score, {known}")


def _fuse(nearest: tuple[Rows, Scores], by_words: Ranked, depth: int) -> tuple[Rows, Scores]:
    """Return the reciprocal rank fusion of two rankings, the second cut to `depth` rows."""
    matches = by_words.first(depth)
    rows = np.concatenate([nearest[0], matches.rows])
    scores = np.concatenate([nearest[1], matches.scores])
    places = np.concatenate([np.arange(len(nearest[0])), np.arange(len(matches))])
    unique, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    weights = np.bincount(inverse, weights=1.0 / (RRF_CONSTANT + 1 + places))
    order = np.argsort(-weights, kind="stable")
    return unique[order], scores[first[order]]
