"""The engine on files: FAISS indices and columns that are mapped into memory, and SQLite."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.engine import Rows, Scores
from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.engines.row_set import RowSet
from promptsearch.engines.stages import Stage
from promptsearch.filtering.filters import Filter
from promptsearch.filtering.row_filter import row_mask
from promptsearch.storage.fields import FieldColumns
from promptsearch.storage.fulltext import FullTextIndex
from promptsearch.storage.items import ItemStore
from promptsearch.storage.manifest import FILES, KINDS, Kind, Manifest

_SELECTIONS = 32  # filters whose rows are kept, a bit an item each


class FileEngine:
    """See `promptsearch.engine.Engine`."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Open one version's folder; raises CollectionError where it is damaged."""
        dim = manifest.model.embedding_dim
        self.indices: Mapping[Kind, VectorIndex] = {
            kind: VectorIndex.open(folder, kind, info, dim) for kind in KINDS if (info := manifest.index(kind))
        }
        self.items = ItemStore(folder / FILES.items)
        self.fields = FieldColumns(folder, manifest.counts["images"])
        self._words = FullTextIndex(folder)
        self._remember()

    def _remember(self) -> None:
        # Of what they need and not of `self`: what refers to itself would hold its files open until a collection.
        self._selection = lru_cache(_SELECTIONS)(partial(_selected, self.indices, self.items, self.fields))

    def hiding(self, ids: Set[str]) -> Self:
        engine = copy.copy(self)
        engine.items = self.items.hiding(ids)
        engine._remember()
        return engine

    def nearest(
        self, kind: Kind, query: NDArray[np.float32], depth: int, filter: Filter | None, stage: Stage
    ) -> tuple[Rows, Scores]:
        return self.indices[kind].search(query, depth, self._selected(kind, filter, stage), stage)

    def keyword_search(
        self, kind: Kind, words: str, query: NDArray[np.float32], most: int, filter: Filter | None, stage: Stage
    ) -> tuple[Rows, Scores]:
        index, selection = self.indices[kind], self._selected(kind, filter, stage)
        with stage("keyword"):
            rows = self._words.ranked(words)
            if kind == "images":  # not by the words of a prompt that is taken down
                if hidden := self.items.hidden("prompts"):
                    rows = rows[~np.isin(rows, list(hidden))]
                rows = self.items.images_by_prompt(rows.tolist(), len(index))
            if selection is not None:
                rows = rows[selection.mask[rows]]
            rows = rows[:most]
        with stage("re-score"):
            scores = index.cosines(rows, query)
            if kind == "images":  # the words say nothing of which of a prompt's images is the best
                prompts = self.prompts(rows)
                place = np.cumsum(np.diff(prompts, prepend=prompts[:1]) != 0)
                order = np.lexsort((-scores, place))
                rows, scores = rows[order], scores[order]
            return rows, scores

    def list_rows(self, kind: Kind, most: int, filter: Filter | None, sort: str | None, stage: Stage) -> Rows:
        count, selection = len(self.indices[kind]), self._selected(kind, filter, stage)
        rows = np.arange(count) if selection is None else selection.rows
        if sort is not None:
            order = self._sorted(kind, sort)
            rows = order[order < count]
            if selection is not None:
                rows = rows[selection.mask[rows]]
        return rows[:most]

    def order(self, kind: Kind, rows: Rows, sort: str) -> NDArray[np.int64]:
        wanted = self._sorted(kind, sort)
        place = np.empty(len(wanted), dtype=np.int64)
        place[wanted] = np.arange(len(wanted))
        return np.argsort(place[rows], kind="stable")

    def prompts(self, images: Rows) -> NDArray[np.int32]:
        return self.fields.prompts[images]

    def sibling_counts(self, images: Sequence[int], filter: Filter | None) -> list[int]:
        found = len(self.indices["images"])
        shown = np.arange(len(self.fields.prompts)) < found
        if filter is not None:
            shown[:found] &= self._selection("images", filter).mask
        shown[list(self.items.hidden("images"))] = False
        prompts = self.fields.prompts
        counted = np.bincount(prompts[shown & (prompts >= 0)])
        return [int(counted[prompt]) - 1 if (prompt := prompts[row]) >= 0 else 0 for row in images]

    def close(self) -> None:
        for part in (self.items, self.fields, self._words):
            part.close()

    def _selected(self, kind: Kind, filter: Filter | None, stage: Stage) -> RowSet | None:
        if filter is None:
            return None
        with stage("filter"):
            return self._selection(kind, filter)

    def _sorted(self, kind: Kind, sort: str) -> Rows:
        """All rows in the order of a field, which `-` before it turns round."""
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if kind == "images":
            return self.fields.order(name, descending)
        return self.fields.of_prompts(name, descending, len(self.indices["prompts"]))


def _selected(
    indices: Mapping[Kind, VectorIndex], items: ItemStore, fields: FieldColumns, kind: Kind, filter: Filter
) -> RowSet:
    """The rows that have a vector and meet the filter; of prompts those that have an image which does."""
    mask = row_mask(filter, fields, items)
    if kind == "prompts":
        of = fields.prompts[mask]
        mask = np.zeros(len(indices["prompts"]), dtype=bool)
        mask[of[of >= 0]] = True
    return RowSet(mask[: len(indices[kind])])
