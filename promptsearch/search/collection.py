"""One version of a collection, opened for searching."""

from __future__ import annotations

import copy
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import unit
from promptsearch.engines.engine import Engine, Index
from promptsearch.engines.file_engine import FileEngine
from promptsearch.engines.stages import Stage, untimed
from promptsearch.errors import (
    CursorError,
    CursorGone,
    DamagedCollection,
    ModelMismatch,
    NoVectors,
    ParameterError,
    UnknownItem,
)
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Options, Search, combine
from promptsearch.search.paging import Pages
from promptsearch.search.takedowns import Pictures
from promptsearch.search.terms import Term
from promptsearch.storage.digests import FileDigests, PictureDigests
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.items import Image, Prompt
from promptsearch.storage.manifest import FILES, KINDS, Kind, Manifest, current_version
from promptsearch.storage.raw_metadata import RawMetadata
from promptsearch.storage.thumbnails import Thumbnails

_DEFAULT = Options()


@dataclass(frozen=True)
class Page:
    """One page of rows, best first, and the cursor of the next page (None at the end).

    `scores`: cosines, or None without a query. `more`, for images grouped by prompt: how many other images of the
    prompt meet the filter. `duplicates`: how many near-duplicates of each row were left out.
    """

    rows: Sequence[int]
    scores: Sequence[float | None]
    next: Cursor | None
    more: Sequence[int] | None = None
    duplicates: Sequence[int] | None = None


class Collection:
    """One version of a collection: read-only, and safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Open the folder of one version. Raises CollectionError if it is damaged."""
        self.folder = folder
        self.manifest = Manifest.read(folder)
        self.name = self.manifest.collection
        self.version = self.manifest.version
        has_digests = (folder / FILES.digests).is_file()
        count = self.manifest.counts["image_vectors"]
        digests = PictureDigests(folder / FILES.digests, count) if has_digests else None
        self._use(_engine(folder, self.manifest))
        self.pictures = Pictures(self.items, digests)
        self._hidden_pictures: Set[bytes] = frozenset()
        self._file_digests = FileDigests()
        has_thumbnails = (folder / FILES.thumbnails).is_file()
        self.thumbnails = Thumbnails(folder / FILES.thumbnails) if has_thumbnails else None
        has_raw = (folder / FILES.raw).is_file()  # versions of earlier releases have none
        self.raw_metadata = RawMetadata(folder / FILES.raw) if has_raw else None

    @classmethod
    def open(cls, path: Path) -> Collection:
        """Open the current version of the collection in `path`, without its hidden items."""
        return cls(current_version(path)).with_hidden(read_hidden(path))

    def with_hidden(self, hidden: Set[Takedown | str]) -> Collection:
        """Return the same collection, on the same open files, whose answers leave out hidden items.

        A takedown that is a text is an id.
        """
        collection = copy.copy(self)
        ids = self.pictures.hidden(hidden)
        collection._use(self._engine.with_hidden(self.items.find_hidden(ids)))
        collection._hidden_pictures = self.pictures.hidden_digests(hidden)
        return collection

    def shows_hidden_picture(self, file: Path) -> bool:
        """Return whether a file holds a picture that is hidden; it may have been moved over another one's name.

        Files are read for that only if any pictures are hidden. Raises OSError if the file cannot be read.
        """
        return bool(self._hidden_pictures) and self._file_digests.of(file) in self._hidden_pictures

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self.items, self.fields = engine.items, engine.fields
        self._pages = Pages(engine)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that can be searched: those of "images" and "prompts" that have vectors."""
        return tuple(self._engine.indices)

    def require_model(self, bundle: Bundle | None) -> Bundle:
        """Return `bundle` if it is the model of this collection. Raises ModelMismatch, also for None."""
        model = self.manifest.model
        if bundle is None:
            raise ModelMismatch(
                f"collection {self.name} was built with the model {model.name}, which is not there: "
                f"export it to a models folder, or build the collection with another model"
            )
        if bundle.identity != model.identity:
            raise ModelMismatch(
                f"collection {self.name} was built with another model called {model.name} "
                f"(expected identity {model.identity[:12]}, found {bundle.identity[:12]}): build the collection again"
            )
        return bundle

    def index(self, kind: Kind) -> Index:
        """Return the index of this kind. Raises NoVectors if the collection was built without it."""
        if kind not in self._engine.indices:
            other = KINDS[1 - KINDS.index(kind)]
            raise NoVectors(
                kind,
                f"collection {self.name} has no vectors of {kind}: search its {other} instead, by text or picture",
            )
        return self._engine.indices[kind]

    def search(
        self,
        kind: Kind,
        query: NDArray[np.float32] | None,
        limit: int,
        options: Options = _DEFAULT,
        *,
        words: str | None = None,
        exclude: Sequence[int] = (),
        stage: Stage = untimed,
    ) -> Page:
        """Return the first page for a query vector, float32 [embedding_dim], of any length except zero.

        None lists everything that meets the filter. `words` are for modes keyword and hybrid; rows in `exclude` are
        never results. Raises QueryError and NoVectors.
        """
        search = Search(kind, None if query is None else unit(query), options, words, tuple(exclude))
        return self.page(Cursor(self.version, search, offset=0), limit, stage)

    def begin(
        self,
        kind: Kind,
        terms: Sequence[Term],
        encoded: Sequence[NDArray[np.float32] | None],
        options: Options = _DEFAULT,
        words: str | None = None,
    ) -> Cursor:
        """Return the cursor of the first page of a query.

        `encoded` has a unit vector, float32 [embedding_dim], for each term that is a text or picture, and None for the
        others. Query items are excluded from the results. Raises QueryError, UnknownItem and NoVectors.
        """
        searched: Kind = "images" if options.via else kind
        vectors: list[NDArray[np.float32]] = []
        exclude = []
        for term, vector in zip(terms, encoded, strict=True):
            if term.id is not None:
                item_kind, row = self.find(term.id)
                vector = self._stored_vector(item_kind, row)
                exclude += [row] if item_kind == searched else []
            elif term.vector is not None:
                vector = self._normalize(term.vector)
            assert vector is not None
            vectors.append(vector)
        query = combine(vectors, [term.weight for term in terms]) if terms else None
        if options.mode == "semantic":
            words = None
        return Cursor(self.version, Search(kind, query, options, words, tuple(exclude)), offset=0)

    def _stored_vector(self, kind: Kind, row: int) -> NDArray[np.float32]:
        """Return the stored vector of an item at unit length. Raises NoVectors and DamagedCollection."""
        vector = self.vector(kind, row)
        if not 0.9 < np.linalg.norm(vector) < 1.1:
            raise DamagedCollection(f"the vectors of {kind} in {self.folder} are damaged: build the collection again")
        return unit(vector)

    def _normalize(self, vector: Sequence[float]) -> NDArray[np.float32]:
        dim = self.manifest.model.embedding_dim
        if len(vector) != dim:
            raise ParameterError(f"a vector of this collection's model must have {dim} numbers, got {len(vector)}")
        numbers = np.array(vector, dtype=np.float64)
        numbers /= np.abs(numbers).max()  # the squares of very small and large numbers are no numbers
        normalized: NDArray[np.float32] = (numbers / np.linalg.norm(numbers)).astype(np.float32)
        return normalized

    def find(self, id: str) -> tuple[Kind, int]:
        """Return the kind and row of an item. Raises UnknownItem."""
        for kind in KINDS:
            if rows := self.items.rows(kind, [id]):
                return kind, rows[0]
        raise UnknownItem("there is no image or prompt with this id")

    def vector(self, kind: Kind, row: int) -> NDArray[np.float32]:
        """Return the stored vector of one item, float32 [embedding_dim]. Raises NoVectors if it has none."""
        index = self.index(kind)
        if row >= len(index):
            raise NoVectors(kind, "this item has no vector: its picture was missing when the collection was built")
        return index.vector(row)

    def page(self, cursor: Cursor, limit: int, stage: Stage = untimed) -> Page:
        """Return the page at a cursor of this version. Raises CursorGone, QueryError and NoVectors."""
        if cursor.version != self.version:
            raise CursorGone(
                f"the cursor's version {cursor.version} is no longer served (current: {self.version}): repeat the query"
            )
        search = cursor.search
        dim = self.manifest.model.embedding_dim
        if search.vector is not None and (
            search.vector.shape != (dim,) or not 0.99 < np.linalg.norm(search.vector.astype(np.float64)) < 1.01
        ):
            raise CursorError("this cursor's vector is not one of this collection's model: pass `next` unchanged")
        kind: Kind = "images" if search.options.via else search.kind
        self.index(kind)
        page = self._pages.page(search, cursor.offset, limit, stage)
        return Page(
            page.rows,
            [None if search.vector is None else score for score in page.scores],
            None if page.next is None else Cursor(self.version, search, page.next),
            self._engine.sibling_counts(page.rows, search.options.filter) if search.options.group_by else None,
            page.duplicates,
        )

    def probe(self, vector: NDArray[np.float32]) -> None:
        """Search for and read one item of each kind, to see whether the files can still be read.

        `vector`: a unit vector, float32 [embedding_dim]. Raises the errors of searches.
        """
        for kind in self.kinds:
            rows = self.index(kind).probe(vector).tolist()
            if kind == "images":
                self.items.images(rows)
            else:
                self.items.prompts(rows)

    def prompts_of(self, images: Sequence[Image]) -> dict[int, Prompt]:
        """Return the prompts of these images by row, without hidden ones."""
        return self.items.prompts(sorted({image.prompt for image in images if image.prompt is not None}))

    def close(self) -> None:
        """Close the files or connections."""
        self._engine.close()
        if self.thumbnails:
            self.thumbnails.close()
        if self.raw_metadata:
            self.raw_metadata.close()


def _engine(folder: Path, manifest: Manifest) -> Engine:
    if manifest.milvus is None:
        return FileEngine(folder, manifest)
    from promptsearch.engines.milvus.engine import MilvusEngine

    return MilvusEngine(folder, manifest, manifest.milvus)
