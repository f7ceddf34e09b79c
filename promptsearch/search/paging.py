"""One page cut out of a ranking: what is left out, folded, grouped, and put into another order."""

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

POOL = 1_000  # best places that are sorted by a field, or among which near-duplicates are folded; a search ends there
DIVERSIFIED = 200  # best places that are put into a more diverse order; the others follow in theirs

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """Rows of a page and their cosines (NaN without a query), and the place that the next page begins at, if any.

    `duplicates`: how many were folded into each.
    """

    rows: Sequence[int]
    scores: Sequence[float]
    next: int | None
    duplicates: Sequence[int] | None


class Pages:
    """Those of one version of a collection.

    Places are counted with everything in the ranking, shown or not. What is taken down between two pages then moves
    nothing from one to the other.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rankings = Rankings(engine)

    def cut(self, search: Search, offset: int, limit: int, stage: Stage) -> Cut:
        """The page of `limit` results whose first place is `offset`."""
        options = search.options
        by_image = options.via is not None
        kind: Kind = "images" if by_image else search.kind
        pool = POOL if options.deduplicate or (options.sort and search.vector is not None) else None
        least = pool or (DIVERSIFIED if options.diversity else 0)
        ranked = Ranked(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        into: Places | None = None
        kept = np.empty(0, dtype=bool)
        for tier in self._rankings.of(search, kind, stage):
            ranked = ranked.then(tier)
            if len(ranked) < least:
                continue
            ranked = ranked.first(pool)
            kept, into = self._kept(search, kind, ranked)
            if np.count_nonzero(kept[offset:]) > limit or (pool and len(ranked) == pool):
                break
        else:
            kept, into = self._kept(search, kind, ranked)
        order = self._order(search, kind, ranked)
        places = np.flatnonzero(kept[order][offset:]) + offset
        here = order[places[:limit]]
        rows = ranked.rows[here]
        return Cut(
            (self._engine.prompts(rows) if by_image else rows).tolist(),
            ranked.scores[here].tolist(),
            int(places[limit]) if len(places) > limit else None,
            None if into is None else (np.bincount(into[into >= 0], minlength=len(ranked))[here] - 1).tolist(),
        )

    def _kept(self, search: Search, kind: Kind, ranked: Ranked) -> tuple[NDArray[np.bool_], Places | None]:
        """Which places are shown, and which one each is folded into (-1: it is not shown for other reasons)."""
        options = search.options
        kept = np.ones(len(ranked), dtype=bool)
        if left_out := [*search.exclude, *self._engine.items.hidden(kind)]:
            kept &= ~np.isin(ranked.rows, left_out)
        if options.min_score is not None:
            kept &= ranked.scores >= options.min_score
        into: Places | None = None
        if options.deduplicate:
            shown = np.flatnonzero(kept)
            into = np.full(len(ranked), -1, dtype=np.int64)
            into[shown] = shown[deduplicate(self._engine.indices[kind].vectors(ranked.rows[shown]))]
            kept &= into == np.arange(len(ranked))
        if options.group_by or options.via:
            kept &= self._first_of_prompts(ranked.rows, kept, without=options.via is None)
        return kept, into

    def _first_of_prompts(self, rows: Places, kept: NDArray[np.bool_], *, without: bool) -> NDArray[np.bool_]:
        """Of the rows of images that are kept, the first of each prompt; those `without` a prompt, too, or not."""
        prompts = self._engine.prompts(rows)
        shown = np.flatnonzero(kept & (prompts >= 0))
        first = np.zeros(len(rows), dtype=bool)
        first[shown[np.unique(prompts[shown], return_index=True)[1]]] = True
        if without:
            first |= prompts < 0
        elif hidden := self._engine.items.hidden("prompts"):
            first &= ~np.isin(prompts, list(hidden))
        return first

    def _order(self, search: Search, kind: Kind, ranked: Ranked) -> Places:
        """The order in which the ranking is shown."""
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
