"""Where the vectors and items of one version are kept and searched: what every engine can be asked.

Two there are: `promptsearch/engines/file_engine.py`, FAISS and SQLite on files that are mapped into memory, and
`promptsearch/milvus/`, where they outgrow a machine. What is not said here (the depths of a ranking, what is folded,
grouped, put into pages) is the same code for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.stages import Stage
from promptsearch.filtering.conditions import FieldCatalog
from promptsearch.filtering.filters import Filter
from promptsearch.storage.items import Image, Prompt
from promptsearch.storage.manifest import IndexInfo, Kind

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]


class Index(Protocol):
    """The vectors of one kind of item, as they are stored."""

    @property
    def info(self) -> IndexInfo: ...

    def __len__(self) -> int: ...

    def vector(self, row: int, /) -> NDArray[np.float32]:
        """float32 [embedding_dim]."""

    def vectors(self, rows: Rows, /) -> NDArray[np.float32]:
        """float32 [n, embedding_dim]."""

    def probe(self, query: NDArray[np.float32], /) -> Rows:
        """Some row near a unit vector, float32 [embedding_dim]: int64 [1].

        It reads no more than shows that a search works: services ask this of every index again and again.
        """


class Items(Protocol):
    """Prompts and images by their rows and ids; what is taken down is unknown here."""

    def hidden(self, kind: Kind, /) -> Set[int]:
        """The rows of what is taken down."""

    def prompts(self, rows: Sequence[int], /) -> dict[int, Prompt]:
        """By row."""

    def images(self, rows: Sequence[int], /) -> dict[int, Image]:
        """By row."""

    def prompt(self, id: str, /) -> Prompt:
        """Raises UnknownItem."""

    def image(self, id: str, /) -> Image:
        """Raises UnknownItem."""

    def rows(self, kind: Kind, ids: Sequence[str], /) -> Sequence[int]:
        """The rows of those that are known, in ascending order."""

    def images_of(self, prompts: Sequence[int], limit: int, /) -> Mapping[int, Sequence[Image]]:
        """The first images of each of these prompts, given by their rows; those that have a vector come first."""


class Engine(Protocol):
    """Safe to use from any thread. Filters raise ParameterError for what the collection's fields do not have.

    What an engine cannot do raises Unsupported, and never answers differently.
    """

    @property
    def indices(self) -> Mapping[Kind, Index]:
        """Of the kinds that have vectors."""

    @property
    def items(self) -> Items: ...

    @property
    def fields(self) -> FieldCatalog: ...

    def nearest(
        self, kind: Kind, query: NDArray[np.float32], depth: int, filter: Filter | None, stage: Stage, /
    ) -> tuple[Rows, Scores]:
        """Up to `depth` nearest rows of a unit vector, float32 [embedding_dim], and their cosines, best first.

        Equal scores are ordered by row. Of prompts, a filter leaves those that have an image which meets it.
        """

    def keyword_search(
        self, kind: Kind, words: str, query: NDArray[np.float32], most: int, filter: Filter | None, stage: Stage, /
    ) -> tuple[Rows, Scores]:
        """Rows whose prompts have these words, by how well they do, best first, and their cosines with the query."""

    def list_rows(self, kind: Kind, most: int, filter: Filter | None, sort: str | None, stage: Stage, /) -> Rows:
        """The first rows that meet the filter, in the order of the field `sort` (from the end with `-`), or by row."""

    def order(self, kind: Kind, rows: Rows, sort: str, /) -> NDArray[np.int64]:
        """The places of these rows in the order of a field: those without it last, equal ones by row."""

    def prompts(self, images: Rows, /) -> NDArray[np.int32]:
        """The row of each image's prompt, -1 for none."""

    def sibling_counts(self, images: Sequence[int], filter: Filter | None, /) -> Sequence[int]:
        """How many more images of each one's prompt meet the filter and can be found."""

    def hiding(self, ids: Set[str], /) -> Self:
        """The same engine, on the same open files or connection, in which the items of these ids are unknown."""

    def close(self) -> None: ...
