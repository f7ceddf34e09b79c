"""The order of everything that answers a search, from the best on: what pages are cut out of.

An index that approximates proposes other candidates for another depth, so a ranking has fixed depths: its first places
are the best of a few candidates, the next ones the best of more of them that have no place yet, and so on. Every page,
whatever its size, is cut out of this one order: nothing is skipped and nothing comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from promptsearch.errors import ParameterError
from promptsearch.fields import Fields
from promptsearch.filters import Filter
from promptsearch.index import Rows, Scores, VectorIndex
from promptsearch.items import ItemStore
from promptsearch.keywords import Keywords
from promptsearch.manifest import Kind
from promptsearch.search import Search
from promptsearch.selection import Selection
from promptsearch.stages import Stage

# Candidates that are proposed and scored exactly, and how many places they fill at most.
TIERS = ((200, 50), (3_000, 1_000), (12_000, 10_000))
MAX_PLACES = TIERS[-1][1]
FUSED = 60.0  # reciprocal rank fusion's constant (Cormack et al. 2009)
_SELECTIONS = 32  # filters whose rows are kept, a bit an item each


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

    def __init__(self, indices: dict[Kind, VectorIndex], items: ItemStore, fields: Fields, words: Keywords) -> None:
        self._indices = indices
        self._items = items
        self._fields = fields
        self._words = words
        # Of what they need and not of `self`: what refers to itself would hold its files open until a collection.
        self.selection = lru_cache(_SELECTIONS)(partial(_selected, indices, items, fields))

    def of(self, search: Search, kind: Kind, stage: Stage) -> Iterator[Ranked]:
        """The ranking of items of `kind`, a tier at a time."""
        index, selection = self._indices[kind], None
        if search.options.filter is not None:
            with stage("filter"):
                selection = self.selection(kind, search.options.filter)
        if search.vector is None:
            yield self._browsed(search, kind, selection)
            return
        mode = search.options.mode
        found = None if mode == "semantic" else self._with_words(search, kind, selection, stage)
        if mode == "keyword":
            assert found is not None
            yield found
            return
        placed = np.empty(0, dtype=np.int64)
        for depth, places in TIERS:
            ranked = index.search(search.vector, depth, selection, stage)
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

    def _browsed(self, search: Search, kind: Kind, selection: Selection | None) -> Ranked:
        """Without a query: what meets the filter, by the field to sort by or else by row."""
        count = len(self._indices[kind])
        rows = np.arange(count) if selection is None else selection.rows
        if search.options.sort is not None:
            order = self.sorted(kind, search.options.sort)
            rows = order[order < count]
            if selection is not None:
                rows = rows[selection.mask[rows]]
        rows = rows[:MAX_PLACES]
        return Ranked(rows, np.full(len(rows), np.nan, dtype=np.float32))

    def sorted(self, kind: Kind, sort: str) -> Rows:
        """All rows in the order of a field, which `-` before it turns round; raises ParameterError."""
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if name not in self._fields:
            raise ParameterError(
                f"there is no field {name!r} to sort by; there are score, {', '.join(f.name for f in self._fields)}"
            )
        if kind == "images":
            return self._fields.order(name, descending)
        return self._fields.of_prompts(name, descending, len(self._indices["prompts"]))

    def _with_words(self, search: Search, kind: Kind, selection: Selection | None, stage: Stage) -> Ranked:
        """By their prompts' words, best first; `search.vector` gives the scores."""
        assert search.words is not None
        assert search.vector is not None
        index = self._indices[kind]
        with stage("keyword"):
            rows = self._words.ranked(search.words)
            if kind == "images":  # not by the words of a prompt that is taken down
                if hidden := self._items.hidden("prompts"):
                    rows = rows[~np.isin(rows, list(hidden))]
                rows = self._items.images_by_prompt(rows.tolist(), len(index))
            if selection is not None:
                rows = rows[selection.mask[rows]]
            rows = rows[:MAX_PLACES]
        with stage("re-score"):
            scores = index.cosines(rows, search.vector)
            if kind == "images":  # the words say nothing of which of a prompt's images is the best
                prompts = self._fields.prompts[rows]
                place = np.cumsum(np.diff(prompts, prepend=prompts[:1]) != 0)
                order = np.lexsort((-scores, place))
                rows, scores = rows[order], scores[order]
            return Ranked(rows, scores)


def _selected(
    indices: Mapping[Kind, VectorIndex], items: ItemStore, fields: Fields, kind: Kind, filter: Filter
) -> Selection:
    """The rows that have a vector and meet the filter; of prompts those that have an image which does."""
    mask = filter.mask(fields, items)
    if kind == "prompts":
        of = fields.prompts[mask]
        mask = np.zeros(len(indices["prompts"]), dtype=bool)
        mask[of[of >= 0]] = True
    return Selection(mask[: len(indices[kind])])


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
