"""The interface of engines, which store and search the vectors and items of one version.

`promptsearch/engines/file_engine.py` uses FAISS and SQLite on memory-mapped files; `promptsearch/engines/milvus/` uses
Milvus, for collections that outgrow one machine. Everything else, such as ranking, de-duplication, grouping and paging,
is the same code for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.stages import Stage
from promptsearch.filtering.conditions import FieldCatalog
from promptsearch.filtering.filters import Filter
from promptsearch.storage.items import HiddenRows, Image, Prompt
from promptsearch.storage.manifest import IndexInfo, Kind

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]


class Index(Protocol):
    """The stored vectors of one kind of item."""

    @property
    def info(self) -> IndexInfo:
        """Return how the index is searched, and its measured recall."""

    def __len__(self) -> int: ...

    def vector(self, row: int, /) -> NDArray[np.float32]:
        """Return the vector of a row, float32 [embedding_dim]."""

    def vectors(self, rows: Rows, /) -> NDArray[np.float32]:
        """Return the vectors of rows, float32 [n, embedding_dim]."""

    def probe(self, query: NDArray[np.float32], /) -> Rows:
        """Return some row near a unit vector, float32 [embedding_dim], as int64 [1].

        It is called often, to see whether searches work, and reads only as much as that needs.
        """


class Items(Protocol):
    """Prompts and images by rows and ids; hidden items are treated as unknown."""

    def hidden(self, kind: Kind, /) -> Set[int]:
        """Return the rows of hidden items."""

    def find_hidden(self, ids: Set[str], /) -> HiddenRows:
        """Return the rows of the items with these ids; unknown ids are ignored."""

    def prompts(self, rows: Sequence[int], /) -> dict[int, Prompt]:
        """Return the prompts of these rows, by row."""

    def images(self, rows: Sequence[int], /) -> dict[int, Image]:
        """Return the images of these rows, by row."""

    def prompt(self, id: str, /) -> Prompt:
        """Return a prompt by id. Raises UnknownItem."""

    def image(self, id: str, /) -> Image:
        """Return an image by id. Raises UnknownItem."""

    def rows(self, kind: Kind, ids: Sequence[str], /) -> Sequence[int]:
        """Return the rows of the known ids among these, ascending."""

    def images_of(self, prompts: Sequence[int], limit: int, /) -> Mapping[int, Sequence[Image]]:
        """Return the first images of each prompt, by the prompts' rows; those that have a vector come first."""


class Engine(Protocol):
    """Searches the vectors and items of one version; safe to use from several threads.

    Filters raise ParameterError for unknown fields and values. What an engine cannot do raises Unsupported; the answers
    of all engines are the same.
    """

    @property
    def indices(self) -> Mapping[Kind, Index]:
        """Return the indices of the kinds that have vectors."""

    @property
    def items(self) -> Items:
        """Return the prompts and images."""

    @property
    def fields(self) -> FieldCatalog:
        """Return the fields that images can be filtered and sorted by."""

    def nearest(
        self, kind: Kind, query: NDArray[np.float32], depth: int, filter: Filter | None, stage: Stage, /
    ) -> tuple[Rows, Scores]:
        """Return up to `depth` nearest rows of a unit vector, float32 [embedding_dim], and their cosines, best first.

        Equal scores are ordered by row. A prompt meets a filter if one of its images does.
        """

    def keyword_search(
        self, kind: Kind, words: str, query: NDArray[np.float32], limit: int, filter: Filter | None, stage: Stage, /
    ) -> tuple[Rows, Scores]:
        """Return up to `limit` rows whose prompts have all words, best match first, and their cosines with `query`."""

    def list_rows(self, kind: Kind, limit: int, filter: Filter | None, sort: str | None, stage: Stage, /) -> Rows:
        """Return the first `limit` rows that meet the filter, by the field `sort` (`-`: descending) or by row."""

    def order(self, kind: Kind, rows: Rows, sort: str, /) -> NDArray[np.int64]:
        """Return the places of these rows sorted by a field: rows without it last, equal values by row."""

    def prompts(self, images: Rows, /) -> NDArray[np.int32]:
        """Return the row of each image's prompt, -1 for none."""

    def sibling_counts(self, images: Sequence[int], filter: Filter | None, /) -> Sequence[int]:
        """Return, for each image, how many other images of its prompt meet the filter and can be found."""

    def with_hidden(self, hidden: HiddenRows, /) -> Self:
        """Return the same engine, on the same open files or connection, without these rows."""

    def close(self) -> None:
        """Close the files or the connection."""
