"""A collection on disk and its model, searched in this process: no server, no PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, Unpack, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from promptsearch.client.arguments import Arguments, BatchQuery, read_picture, split_batch_query, validated
from promptsearch.client.results import (
    DEFAULT_LIMIT,
    AnyPage,
    Embeddings,
    Field,
    ImageItem,
    ImageResult,
    Page,
    PromptItem,
    PromptResult,
    Result,
)
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.bundles import bundle_for, bundles_in
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.warnings import truncation_warning
from promptsearch.engines.stages import Stage, Stopwatch, untimed
from promptsearch.errors import CursorError, EmptyQuery, ModelMismatch, NoFile, ParameterError, PromptSearchError
from promptsearch.filtering.filters import Filter
from promptsearch.remote.collections import CACHE, fetch_collection
from promptsearch.remote.models import ModelMirror
from promptsearch.remote.store import is_url
from promptsearch.search.collection import Collection
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Options
from promptsearch.search.query import Query, blank_to_none, build_terms, has_condition, normalize_sort
from promptsearch.search.ranking import MAX_PLACES
from promptsearch.search.serialize import Serializer
from promptsearch.search.terms import Term
from promptsearch.storage.items import Image
from promptsearch.storage.manifest import Kind

Place = str | os.PathLike[str]
Texts = Mapping[str, tuple[NDArray[np.float32], bool]]  # unit vector, and whether the text was too long for the model
Pictures = Mapping[bytes, NDArray[np.float32]]  # a file's unit vector
_NONE: Pictures = MappingProxyType({})
_OTHER_SEARCH = "this cursor continues another search; pass `next` to the method that gave it"


def open(
    collection: Place,
    *,
    models: Place | Sequence[Place] | None = None,
    files: Place | None = None,
    precision: str = "fp32",
    cache: Place = CACHE,
) -> Searcher:
    """The current version of a collection, without what is taken down.

    `models`: folders of model bundles, of which the one is used that the collection was built with; unless said,
    `models` beside the folder that the collection lies in, then the one in the working directory. `files`: the folder
    of the collection's original pictures, if they are there. A collection and models may also be URLs of an object
    store, such as `s3://bucket/indices/emoji`: what is needed is brought to `cache`. Raises UnknownCollection,
    ArtefactError where the collection is damaged or its model not there, and for URLs StoreError and NotInstalled.
    """
    folder = fetch_collection(str(collection), Path(cache)) if is_url(collection) else Path(collection)
    if models is not None:
        places = [models] if isinstance(models, str | os.PathLike) else [*models]
    elif is_url(collection):
        places = [str(collection).rstrip("/").rsplit("/", 2)[0] + "/models", "models"]
    else:
        places = [folder.resolve().parent.parent / "models", "models"]
    opened = Collection.open(folder)
    try:
        bundle = _bundle(opened, places, Path(cache))
    except PromptSearchError:
        opened.close()
        raise
    return Searcher(opened, folder.resolve().name, bundle, precision, None if files is None else Path(files))


def _bundle(collection: Collection, places: Sequence[Place], cache: Path) -> Bundle:
    wanted = collection.manifest.model
    wrong: list[str] = []
    folders = [Path(one) for one in places if not is_url(one)]
    found = bundles_in(folders, lambda _path, error: wrong.append(str(error)))
    if all(bundle.identity != wanted.identity for bundle in found):  # what is here already need not be brought
        mirrors = [ModelMirror(str(one), cache) for one in places if is_url(one)]
        found += bundles_in((mirror.folder for mirror in mirrors if mirror.fetch(wanted)), lambda *_: None)
    try:
        return collection.require_model(bundle_for(wanted, found))
    except ModelMismatch as error:
        looked = "; ".join([f"looked for it in {', '.join(map(str, places))}", *wrong])
        raise ModelMismatch(f"{error} ({looked})") from None


class Searcher:
    """Searches of one collection; safe to use from any thread. Methods raise the errors of queries, and NoVectors.

    `promptsearch.Client` has the same methods for a collection that a service has. The model is loaded when the first
    text or picture is encoded.
    """

    def __init__(
        self, collection: Collection, name: str, bundle: Bundle, precision: str = "fp32", files: Path | None = None
    ) -> None:
        self.collection = collection
        self.name = name  # that of its folder
        self.bundle = bundle
        self._precision = precision
        self._files = None if files is None else files.resolve()
        self._listing = Serializer(collection, self._places)

    @cached_property
    def encoders(self) -> Encoders:
        return Encoders(self.bundle, precision=self._precision)

    def search_images(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Images by text, picture and more: see `promptsearch.arguments.Arguments`."""
        return cast("Page[ImageResult]", self._search("images", _query(q, arguments).require_terms()))

    def search_prompts(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Prompts by text, picture and more: see `promptsearch.arguments.Arguments`."""
        return cast("Page[PromptResult]", self._search("prompts", _query(q, arguments).require_terms()))

    def similar_images(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """What is nearest to an image of the collection, and to what else is asked."""
        return cast("Page[ImageResult]", self._similar("images", id, _query(q, arguments)))

    def similar_prompts(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """What is nearest to a prompt of the collection, and to what else is asked."""
        return cast("Page[PromptResult]", self._similar("prompts", id, _query(q, arguments)))

    def images_of_prompt(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Those that have a vector, by row; with terms, the best first."""
        condition = {"prompt": self.collection.items.prompt(id).text}
        query = _query(q, arguments)
        if query.cursor is not None and not has_condition(Cursor.decode(query.cursor).search.options, condition):
            raise CursorError(_OTHER_SEARCH)
        return cast("Page[ImageResult]", self._search("images", query.with_condition(condition)))

    def batch(self, queries: Iterable[BatchQuery]) -> list[AnyPage | PromptSearchError]:
        """Many searches, their texts and pictures encoded together; the answer to one that is wrong is its error.

        Raises ParameterError where one has no `target`.
        """
        asked = [_attempted(query) for query in queries]
        terms = [term for one in asked if isinstance(one, tuple) for term in one[1].terms]
        texts, pictures = self._texts(terms), self._pictures(terms)
        answers: list[AnyPage | PromptSearchError] = []
        for one in asked:
            try:
                answers.append(self._search(*one, texts, pictures) if isinstance(one, tuple) else one)
            except PromptSearchError as error:
                answers.append(error)
        return answers

    def next_page(self, page: Page[Result]) -> Page[Result] | None:
        """The page after this one; None where it was the last."""
        if page.next is None:
            return None
        given: Arguments = {"cursor": page.next, "k": page.k, "include": page.include}
        return cast("Page[Result]", self._search(page.kind, _query(None, given)))

    def pages(self, page: Page[Result]) -> Iterator[Page[Result]]:
        """This page and all that follow it."""
        following: Page[Result] | None = page
        while following is not None:
            yield following
            following = self.next_page(following)

    def image(self, id: str) -> ImageItem:
        """One image; raises UnknownItem."""
        return ImageItem.of(self._listing.image(self.collection.items.image(id)))

    def prompt(self, id: str) -> PromptItem:
        """One prompt; raises UnknownItem."""
        return PromptItem.of(self._listing.prompt(self.collection.items.prompt(id)))

    def thumbnail(self, id: str) -> bytes:
        """WebP, at most 256 pixels a side; raises UnknownItem or NoFile."""
        row = self.collection.items.image(id).row
        found = self.collection.thumbnails.get(row) if self.collection.thumbnails else None
        if found is None:
            raise NoFile(f"image {id} has no thumbnail: its picture was not there when the collection was built")
        return found

    def original(self, id: str) -> bytes:
        """The image's file as it was when it lies there still; raises UnknownItem or NoFile."""
        path, _ = self._places(self.collection.items.image(id))
        if path is None:
            raise NoFile(f"the file of image {id} is not known: open the collection with files=DIR, its originals")
        try:
            if not Path(path).resolve().is_relative_to(cast("Path", self._files)):
                raise NoFile(f"the file of image {id} leads out of {self._files}")
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise NoFile(f"the file of image {id} is no longer there: {error}") from error

    def fields(self) -> list[Field]:
        """What images can be filtered and sorted by."""
        return [
            Field(
                field.name,
                field.type,
                field.count,
                field.distinct,
                field.least,
                field.greatest,
                tuple((value, count) for value, count in field.values),
            )
            for field in self.collection.fields
        ]

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of texts."""
        found = self._texts(Term(text=text) for text in _some(texts))
        return self._embeddings([found[text][0] for text in texts], self._notes(texts, found))

    def embed_images(self, images: Sequence[Any]) -> Embeddings:
        """The vectors of pictures, each the path or bytes of a file, or a PIL.Image."""
        decoded = [self._decoded(read_picture(image)) for image in _some(images)]
        return self._embeddings(self.encoders.encode_images(decoded), ())

    def close(self) -> None:
        self.collection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<promptsearch.Searcher of {self.name}, version {self.collection.version}>"

    def _similar(self, kind: Kind, id: str, query: Query) -> Page[Any]:
        items = self.collection.items
        row = (items.image(id) if kind == "images" else items.prompt(id)).row
        if query.cursor is not None and row not in Cursor.decode(query.cursor).search.exclude:
            raise CursorError(_OTHER_SEARCH)
        return self._search(kind, query.with_item(id))

    def _search(self, kind: Kind, query: Query, texts: Texts | None = None, pictures: Pictures = _NONE) -> Page[Any]:
        started = time.perf_counter()
        stopwatch = Stopwatch()
        notes: tuple[str, ...] = ()
        if query.cursor is not None:
            cursor = Cursor.decode(query.cursor)
            if cursor.search.kind != kind:
                other = cursor.search.kind
                raise CursorError(f"this cursor continues a search for {other}: search_{other} goes on with it")
        else:
            query.options.check(kind)
            self.collection.index("images" if query.options.via else kind)  # before anything is encoded
            if texts is None:
                texts = self._texts(query.terms, stopwatch)
            notes = self._notes([term.text for term in query.terms if term.text is not None], texts)
            vectors = [self._vector(term, texts, pictures, stopwatch) for term in query.terms]
            cursor = self.collection.begin(kind, query.terms, vectors, query.options, query.words)
        found = self.collection.page(cursor, query.limit, stopwatch)
        with stopwatch("store"):
            listed = self._listing.page(kind, found, with_vectors=query.with_vectors)
        result = ImageResult if kind == "images" else PromptResult
        return Page(
            kind=kind,
            collection=self.name,
            version=self.collection.version,
            took_ms=round(1000 * (time.perf_counter() - started), 3),
            results=tuple(result.of(one) for one in listed),
            next=None if found.next is None else found.next.encode(),
            notes=notes,
            explain={str(name): spent for name, spent in stopwatch.milliseconds.items()} if query.explain else None,
            k=query.limit,
            include="vector" if query.with_vectors else None,
            read_thumbnails=self._thumbnails,
        )

    def _texts(self, terms: Iterable[Term], stage: Stage = untimed) -> Texts:
        """The vectors of all texts among the terms, encoded together."""
        texts = list(dict.fromkeys(term.text for term in terms if term.text is not None))
        if not texts:
            return {}
        with stage("encode"):
            vectors = self.encoders.encode_texts(texts)
            cut = [self.encoders.tokenizer.read(text)[1] for text in texts]
        return {text: (vector, too_long) for text, vector, too_long in zip(texts, vectors, cut, strict=True)}

    def _pictures(self, terms: Iterable[Term]) -> Pictures:
        """The vectors of all pictures among the terms, encoded together, but of those that cannot be decoded."""
        decoded: dict[bytes, PIL.Image.Image] = {}
        for picture in dict.fromkeys(term.picture for term in terms if term.picture is not None):
            with suppress(PromptSearchError):  # which is raised where the term is searched with
                decoded[picture] = self._decoded(picture)
        return dict(zip(decoded, self.encoders.encode_images([*decoded.values()]), strict=True)) if decoded else {}

    def _vector(self, term: Term, texts: Texts, pictures: Pictures, stage: Stage) -> NDArray[np.float32] | None:
        if term.text is not None:
            return texts[term.text][0]
        if term.picture is None:
            return None
        if term.picture in pictures:
            return pictures[term.picture]
        with stage("decode"):
            decoded = self._decoded(term.picture)
        with stage("encode"):
            vector: NDArray[np.float32] = self.encoders.encode_images([decoded])[0]
        return vector

    def _decoded(self, picture: bytes) -> PIL.Image.Image:
        spec = self.bundle.image
        return open_picture(picture, background=spec.background, shorter_side=spec.size)

    def _notes(self, asked: Sequence[str], texts: Texts) -> tuple[str, ...]:
        most = self.bundle.text.context_length
        return tuple(dict.fromkeys(truncation_warning(text, most) for text in asked if texts[text][1]))

    def _embeddings(self, vectors: Iterable[NDArray[np.float32]], notes: tuple[str, ...]) -> Embeddings:
        return Embeddings(np.stack([*vectors]), self.bundle.name, self.bundle.identity, notes)

    def _thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        if self.collection.thumbnails is None:
            return {}
        rows = {id: row for id in ids for row in self.collection.items.rows("images", [id])}
        found = {id: self.collection.thumbnails.get(row) for id, row in rows.items()}
        return {id: thumbnail for id, thumbnail in found.items() if thumbnail is not None}

    def _places(self, image: Image) -> tuple[str | None, str | None]:
        has_file = self._files is not None and image.file is not None
        return f"{self._files}/{image.file}" if has_file else None, None


def _query(q: str | None, given: Arguments) -> Query:
    validated(given)
    k, image, filter = given.get("k", DEFAULT_LIMIT), given.get("image"), given.get("filter")
    if not 1 <= k <= MAX_PLACES:
        raise ParameterError(f"k goes from 1 to {MAX_PLACES:,}, not {k}")
    options = Options(
        mode=given.get("mode", "semantic"),
        filter=None if filter is None else Filter.parse(filter),
        sort=normalize_sort(given.get("sort"), given.get("mode", "semantic")),
        min_score=given.get("min_score"),
        group_by=given.get("group_by"),
        deduplicate=given.get("deduplicate", False),
        diversity=given.get("diversity", 0.0),
        via=given.get("via"),
    )
    pictures = [] if image is None else [read_picture(image)]
    return Query(
        build_terms(q, pictures, given.get("terms", ()), given.get("negative")),
        options,
        blank_to_none(q),
        given.get("cursor"),
        None,
        k,
        given.get("include") == "vector",
        given.get("explain", False),
    )


def _attempted(given: BatchQuery) -> tuple[Kind, Query] | PromptSearchError:
    kind, q, arguments = split_batch_query(given)
    try:
        return kind, _query(q, arguments).require_terms()
    except PromptSearchError as error:
        return error


def _some(given: Sequence[Any]) -> Sequence[Any]:
    if not given:
        raise EmptyQuery("nothing is to be embedded: give at least one")
    return given
