"""Pages of a ranking, after filtering by score, de-duplication, grouping and sorting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.engine import Engine
from promptsearch.engines.stages import Stage
from promptsearch.search.diversity import deduplicate, mmr
from promptsearch.search.options import SCORE, Search
from promptsearch.search.ranking import Ranked, Rankings
from promptsearch.storage.manifest import Kind

POOL = 1_000  # best places that are sorted by a field or de-duplicated; such a search ends there
DIVERSIFIED = 200  # best places that `diversity` reorders; the others follow unchanged

Places = NDArray[np.int64]


@dataclass(frozen=True)
class PageRows:
    """The rows of a page and their cosines (NaN without a query), and the place of the next page (None at the end).

    `duplicates`: how many near-duplicates of each row were left out.
    """

    rows: Sequence[int]
    scores: Sequence[float]
    next: int | None
    duplicates: Sequence[int] | None


class Pages:
    """Cuts pages from the rankings of one version of a collection.

    Places count everything in the ranking, also rows that are not shown. So an item that is hidden between two pages
    does not move others from one page to the next.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rankings = Rankings(engine)

    def page(self, search: Search, offset: int, limit: int, stage: Stage) -> PageRows:
        """Return the page of `limit` results that begins at place `offset`."""
        options = search.options
        by_image = options.via is not None
        kind: Kind = "images" if by_image else search.kind
        pool = POOL if options.deduplicate or (options.sort and search.vector is not None) else None
        needed = pool or (DIVERSIFIED if options.diversity else 0)
        ranked = Ranked(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        representatives: Places | None = None
        visible = np.empty(0, dtype=bool)
        for tier in self._rankings.of(search, kind, stage):
            ranked = ranked.concat(tier)
            if len(ranked) < needed:
                continue
            ranked = ranked.first(pool)
            visible, representatives = self._visible(search, kind, ranked)
            if np.count_nonzero(visible[offset:]) > limit or (pool and len(ranked) == pool):
                break
        else:
            visible, representatives = self._visible(search, kind, ranked)
        order = self._order(search, kind, ranked)
        places = np.flatnonzero(visible[order][offset:]) + offset
        selected = order[places[:limit]]
        rows = ranked.rows[selected]
        return PageRows(
            (self._engine.prompts(rows) if by_image else rows).tolist(),
            ranked.scores[selected].tolist(),
            int(places[limit]) if len(places) > limit else None,
            None if representatives is None else _count_duplicates(representatives)[selected].tolist(),
        )

    def _visible(self, search: Search, kind: Kind, ranked: Ranked) -> tuple[NDArray[np.bool_], Places | None]:
        """Return which places are shown, and with `deduplicate` which place represents each (-1: left out)."""
        options = search.options
        visible = np.ones(len(ranked), dtype=bool)
        if excluded := [*search.exclude, *self._engine.items.hidden(kind)]:
            visible &= ~np.isin(ranked.rows, excluded)
        if options.min_score is not None:
            visible &= ranked.scores >= options.min_score
        representatives: Places | None = None
        if options.deduplicate:
            shown = np.flatnonzero(visible)
            representatives = np.full(len(ranked), -1, dtype=np.int64)
            representatives[shown] = shown[deduplicate(self._engine.indices[kind].vectors(ranked.rows[shown]))]
            visible &= representatives == np.arange(len(ranked))
        if options.group_by or options.via:
            visible &= self._first_of_prompts(ranked.rows, visible, keep_promptless=options.via is None)
        return visible, representatives

    def _first_of_prompts(
        self, rows: Places, visible: NDArray[np.bool_], *, keep_promptless: bool
    ) -> NDArray[np.bool_]:
        """Return which images are the first visible one of their prompt, and those without one if `keep_promptless`."""
        prompts = self._engine.prompts(rows)
        shown = np.flatnonzero(visible & (prompts >= 0))
        first = np.zeros(len(rows), dtype=bool)
        first[shown[np.unique(prompts[shown], return_index=True)[1]]] = True
        if keep_promptless:
            first |= prompts < 0
        elif hidden := self._engine.items.hidden("prompts"):
            first &= ~np.isin(prompts, list(hidden))
        return first

    def _order(self, search: Search, kind: Kind, ranked: Ranked) -> Places:
        """Return the order in which the ranking is shown, as places."""
        order = np.arange(len(ranked))
        if search.options.sort == SCORE:
            return np.argsort(-ranked.scores, kind="stable")
        if search.options.sort is not None and search.vector is not None:
            return self._engine.order(kind, ranked.rows, search.options.sort)
        if search.options.diversity:
            best = ranked.first(DIVERSIFIED)
            vectors = self._engine.indices[kind].vectors(best.rows)
            order[: len(best)] = mmr(vectors, best.scores, search.options.diversity)
        return order


def _count_duplicates(representatives: Places) -> Places:
    """Return how many other places each place represents."""
    return np.bincount(representatives[representatives >= 0], minlength=len(representatives)) - 1
