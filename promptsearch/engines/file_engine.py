"""The engine on files: memory-mapped FAISS indices and columns, and SQLite."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
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
from promptsearch.storage.items import HiddenRows, ItemStore
from promptsearch.storage.manifest import FILES, KINDS, Kind, Manifest

_CACHED_FILTERS = 32  # of one bit an item each


class FileEngine:
    """Implements `promptsearch.engines.engine.Engine` on the files of one version."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Open the folder of one version. Raises CollectionError if it is damaged."""
        dim = manifest.model.embedding_dim
        self.indices: Mapping[Kind, VectorIndex] = {
            kind: VectorIndex.open(folder, kind, info, dim) for kind in KINDS if (info := manifest.index(kind))
        }
        self.items = ItemStore(folder / FILES.items)
        self.fields = FieldColumns(folder, manifest.counts["images"])
        self._words = FullTextIndex(folder)
        self._set_caches()

    def _set_caches(self) -> None:
        # A cache of a function of its inputs: a method of `self` would form a cycle, which keeps files open until it is
        # garbage-collected.
        self._matching = lru_cache(_CACHED_FILTERS)(partial(_matching_rows, self.indices, self.items, self.fields))

    def with_hidden(self, hidden: HiddenRows) -> Self:
        """Return the same engine without these rows."""
        engine = copy.copy(self)
        engine.items = self.items.with_hidden(hidden)
        engine._set_caches()
        return engine

    def nearest(
        self, kind: Kind, query: NDArray[np.float32], depth: int, filter: Filter | None, stage: Stage
    ) -> tuple[Rows, Scores]:
        """Search the FAISS index; see `Engine.nearest`."""
        return self.indices[kind].search(query, depth, self._allowed(kind, filter, stage), stage)

    def keyword_search(
        self, kind: Kind, words: str, query: NDArray[np.float32], limit: int, filter: Filter | None, stage: Stage
    ) -> tuple[Rows, Scores]:
        """Search the full-text index; see `Engine.keyword_search`."""
        index, allowed = self.indices[kind], self._allowed(kind, filter, stage)
        with stage("keyword"):
            rows = self._words.search(words)
            if kind == "images":  # hidden prompts have no words
                if hidden := self.items.hidden("prompts"):
                    rows = rows[~np.isin(rows, list(hidden))]
                rows = self.items.images_by_prompt(rows.tolist(), len(index))
            if allowed is not None:
                rows = rows[allowed.mask[rows]]
            rows = rows[:limit]
        with stage("re-score"):
            scores = index.cosines(rows, query)
            if kind == "images":  # images of one prompt match equally: order them by cosine
                prompts = self.prompts(rows)
                place = np.cumsum(np.diff(prompts, prepend=prompts[:1]) != 0)
                order = np.lexsort((-scores, place))
                rows, scores = rows[order], scores[order]
            return rows, scores

    def list_rows(self, kind: Kind, limit: int, filter: Filter | None, sort: str | None, stage: Stage) -> Rows:
        """List rows by the columns of fields; see `Engine.list_rows`."""
        count, allowed = len(self.indices[kind]), self._allowed(kind, filter, stage)
        rows = np.arange(count) if allowed is None else allowed.rows
        if sort is not None:
            order = self._sorted(kind, sort)
            rows = order[order < count]
            if allowed is not None:
                rows = rows[allowed.mask[rows]]
        return rows[:limit]

    def order(self, kind: Kind, rows: Rows, sort: str) -> NDArray[np.int64]:
        """Return the places of rows sorted by a field; see `Engine.order`."""
        ordered = self._sorted(kind, sort)
        place = np.empty(len(ordered), dtype=np.int64)
        place[ordered] = np.arange(len(ordered))
        return np.argsort(place[rows], kind="stable")

    def prompts(self, images: Rows) -> NDArray[np.int32]:
        """Return the row of each image's prompt, -1 for none."""
        return self.fields.prompts[images]

    def sibling_counts(self, images: Sequence[int], filter: Filter | None) -> list[int]:
        """Return how many other images of each image's prompt meet the filter."""
        searchable = len(self.indices["images"])
        shown = np.arange(len(self.fields.prompts)) < searchable
        if filter is not None:
            shown[:searchable] &= self._matching("images", filter).mask
        shown[list(self.items.hidden("images"))] = False
        prompts = self.fields.prompts
        counts = np.bincount(prompts[shown & (prompts >= 0)])
        return [int(counts[prompt]) - 1 if (prompt := prompts[row]) >= 0 else 0 for row in images]

    def close(self) -> None:
        """Close the files."""
        for file in (self.items, self.fields, self._words):
            file.close()

    def _allowed(self, kind: Kind, filter: Filter | None, stage: Stage) -> RowSet | None:
        if filter is None:
            return None
        with stage("filter"):
            return self._matching(kind, filter)

    def _sorted(self, kind: Kind, sort: str) -> Rows:
        """Return all rows sorted by a field; `-` before it: descending."""
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if kind == "images":
            return self.fields.order(name, descending)
        return self.fields.prompt_order(name, descending, len(self.indices["prompts"]))


def _matching_rows(
    indices: Mapping[Kind, VectorIndex], items: ItemStore, fields: FieldColumns, kind: Kind, filter: Filter
) -> RowSet:
    """Return the rows that have a vector and meet the filter; a prompt meets it if one of its images does."""
    mask = row_mask(filter, fields, items)
    if kind == "prompts":
        prompts = fields.prompts[mask]
        mask = np.zeros(len(indices["prompts"]), dtype=bool)
        mask[prompts[prompts >= 0]] = True
    return RowSet(mask[: len(indices[kind])])
