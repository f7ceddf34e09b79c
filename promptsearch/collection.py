"""One version of a collection, opened: the search itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from promptsearch.bundle import Bundle
from promptsearch.cursor import Cursor
from promptsearch.encoders import unit
from promptsearch.errors import CursorError, CursorGone, ModelMismatch, NoVectors
from promptsearch.hidden import read_hidden
from promptsearch.index import VectorIndex
from promptsearch.items import Image, ItemStore, Prompt
from promptsearch.manifest import FILES, KINDS, Kind, Manifest, current_version
from promptsearch.thumbnails import Thumbnails

DEPTH = 1000  # candidates a query re-scores, and so how far its pages go

# Told when a stage of a search begins and ends, for whoever measures.
Stage = Callable[[Literal["search", "re-score"]], AbstractContextManager[object]]


def untimed(_stage: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True)
class Page:
    """One page of rows, best first, and where the next begins (None: there is none)."""

    rows: Sequence[int]
    scores: Sequence[float]
    next: Cursor | None


class Collection:
    """Read-only and safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        """Open one version's folder; raises CollectionError where it is damaged."""
        self.folder = folder
        self.manifest = Manifest.read(folder)
        self.name = self.manifest.collection
        self.version = self.manifest.version
        dim = self.manifest.model.embedding_dim
        self._indices: dict[Kind, VectorIndex] = {
            kind: VectorIndex.open(folder, kind, info, dim) for kind in KINDS if (info := self.manifest.index(kind))
        }
        self.items = ItemStore(folder / FILES.items)
        has_thumbnails = (folder / FILES.thumbnails).is_file()
        self.thumbnails = Thumbnails(folder / FILES.thumbnails) if has_thumbnails else None

    @classmethod
    def open(cls, path: Path) -> Collection:
        """The current version of the collection in `path`, without what is taken down."""
        return cls(current_version(path)).hiding(read_hidden(path))

    def hiding(self, ids: Set[str]) -> Collection:
        """The same collection, on the same open files, without the items of these ids: no answer holds them."""
        collection = copy.copy(self)
        collection.items = self.items.hiding(ids)
        return collection

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What can be searched: those of "images" and "prompts" that have vectors."""
        return tuple(self._indices)

    def require_model(self, bundle: Bundle | None) -> Bundle:
        """`bundle` if its vectors are this collection's; raises ModelMismatch, which says what to do, if not."""
        wanted = self.manifest.model
        if bundle is None:
            raise ModelMismatch(
                f"collection {self.name} was built with the model {wanted.name}, which is not there: "
                f"export it to a models folder, or build the collection with another"
            )
        if bundle.identity != wanted.identity:
            raise ModelMismatch(
                f"collection {self.name} was built with another model called {wanted.name} "
                f"(identity {wanted.identity[:12]}, found {bundle.identity[:12]}): build the collection again"
            )
        return bundle

    def index(self, kind: Kind) -> VectorIndex:
        """Raises NoVectors where the collection was built without this kind."""
        if kind not in self._indices:
            other = KINDS[1 - KINDS.index(kind)]
            raise NoVectors(
                kind,
                f"collection {self.name} has no vectors of {kind}; /search/{other} answers texts and pictures alike",
            )
        return self._indices[kind]

    def search(self, kind: Kind, query: NDArray[np.float32], limit: int, stage: Stage = untimed) -> Page:
        """The first page for a query vector, float32 [embedding_dim], of any length but zero."""
        return self.page(Cursor(kind, self.version, unit(query), offset=0, exclude=-1), limit, stage)

    def similar(self, kind: Kind, row: int, limit: int, stage: Stage = untimed) -> Page:
        """What is nearest to one of the collection's own items, without that item."""
        index = self.index(kind)
        if row >= len(index):
            raise NoVectors(kind, "this item has no vector: its picture was not there when the collection was built")
        return self.page(Cursor(kind, self.version, unit(index.vector(row)), offset=0, exclude=row), limit, stage)

    def page(self, cursor: Cursor, limit: int, stage: Stage = untimed) -> Page:
        """The page that a cursor of this version begins."""
        if cursor.version != self.version:
            raise CursorGone(f"this cursor belongs to version {cursor.version}, served is {self.version}: ask again")
        length = np.linalg.norm(cursor.query.astype(np.float64))
        if cursor.query.shape != (self.manifest.model.embedding_dim,) or not 0.99 < length < 1.01:
            raise CursorError("this cursor's vector is not of this collection's model; pass `next` unchanged")
        index, hidden = self.index(cursor.kind), self.items.hidden(cursor.kind)
        with stage("search"):  # as deep as is needed to find as much as if nothing were hidden
            found = index.candidates(cursor.query, DEPTH + len(hidden))
        with stage("re-score"):
            rows, scores = index.score(found, cursor.query)
        left_out = (cursor.exclude, *hidden) if cursor.exclude >= 0 else tuple(hidden)
        # Places are counted with what is left out: what is hidden between two pages then moves nothing to the other.
        places = np.arange(cursor.offset, len(rows))
        if left_out:
            places = places[~np.isin(rows[cursor.offset :], left_out)]
        here, further = places[:limit], places[limit : limit + 1].tolist()
        following = [Cursor(cursor.kind, cursor.version, cursor.query, place, cursor.exclude) for place in further]
        return Page(rows[here].tolist(), scores[here].tolist(), following[0] if following else None)

    def prompts_of(self, images: Sequence[Image]) -> dict[int, Prompt]:
        """The prompts of these images, by row; without those that are hidden."""
        return self.items.prompts(sorted({image.prompt for image in images if image.prompt is not None}))

    def close(self) -> None:
        self.items.close()
        if self.thumbnails:
            self.thumbnails.close()
