"""Search a collection on disk in this process, without a server and without PyTorch."""

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
from promptsearch.client.page import AnyPage, Page, Result
from promptsearch.client.results import Embeddings, Field, ImageItem, ImageResult, PromptItem, PromptResult
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.bundles import bundle_for, bundles_in
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.warnings import truncation_warning
from promptsearch.engines.stages import Stage, Stopwatch, untimed
from promptsearch.errors import CursorError, EmptyQuery, ModelMismatch, NoFile, PromptSearchError
from promptsearch.remote.cache import CACHE
from promptsearch.remote.collections import fetch_collection
from promptsearch.remote.models import ModelMirror
from promptsearch.remote.store import is_url
from promptsearch.search.collection import Collection
from promptsearch.search.cursor import Cursor
from promptsearch.search.options import Options
from promptsearch.search.parameters import DEFAULT_LIMIT
from promptsearch.search.query import PARAMETERS, Query, blank_to_none, build_terms, has_condition
from promptsearch.search.serialize import Serializer
from promptsearch.search.terms import Term
from promptsearch.storage.items import Image
from promptsearch.storage.manifest import Kind

Place = str | os.PathLike[str]
Texts = Mapping[str, tuple[NDArray[np.float32], bool]]  # text -> unit vector, and whether the text was truncated
Pictures = Mapping[bytes, NDArray[np.float32]]  # bytes of a file -> unit vector
_NONE: Pictures = MappingProxyType({})
_OTHER_SEARCH = "this cursor continues another search; pass `next` to the method that returned it"


def open(
    collection: Place,
    *,
    models: Place | Sequence[Place] | None = None,
    files: Place | None = None,
    precision: str = "fp32",
    cache: Place = CACHE,
) -> Searcher:
    """Open the current version of a collection, without its hidden items.

    `models`: one or more folders of model bundles, which must contain the model of the collection (default: `models`
    beside the folder of collections, then `./models`). `files`: the folder of the collection's original pictures.
    `precision`: of the encoders, `fp32` or `int8`. `collection` and `models` may also be URLs in an object store, such
    as `s3://bucket/indices/emoji`, from which the files are copied to `cache`. Raises UnknownCollection, ArtefactError
    if the collection is damaged or its model missing, and for URLs StoreError and NotInstalled.
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
    model = collection.manifest.model
    damaged: list[str] = []
    folders = [Path(place) for place in places if not is_url(place)]
    bundles = bundles_in(folders, lambda _path, error: damaged.append(str(error)))
    if all(bundle.identity != model.identity for bundle in bundles):  # stores are slow: local folders come first
        mirrors = [ModelMirror(str(place), cache) for place in places if is_url(place)]
        bundles += bundles_in((mirror.folder for mirror in mirrors if mirror.fetch(model)), lambda *_: None)
    try:
        return collection.require_model(bundle_for(model, bundles))
    except ModelMismatch as error:
        details = "; ".join([f"looked for it in {', '.join(map(str, places))}", *damaged])
        raise ModelMismatch(f"{error} ({details})") from None


class Searcher:
    """Searches one collection; safe to use from several threads. Searches raise QueryError, NotFound and NoVectors.

    `promptsearch.Client` has the same methods for the collection of a service. The model is loaded when the first text
    or picture is encoded.
    """

    def __init__(
        self, collection: Collection, name: str, bundle: Bundle, precision: str = "fp32", files: Path | None = None
    ) -> None:
        self.collection = collection
        self.name = name  # of the folder
        self.bundle = bundle
        self._precision = precision
        self._files = None if files is None else files.resolve()
        self._serializer = Serializer(collection, self._paths)

    @cached_property
    def encoders(self) -> Encoders:
        """Return the encoders of the model, loaded on first use."""
        return Encoders(self.bundle, precision=self._precision)

    def search_images(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return images by text, picture and more; see `promptsearch.client.arguments.Arguments`."""
        return cast("Page[ImageResult]", self._search("images", _query(q, arguments).require_terms()))

    def search_prompts(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Return prompts by text, picture and more; see `promptsearch.client.arguments.Arguments`."""
        return cast("Page[PromptResult]", self._search("prompts", _query(q, arguments).require_terms()))

    def similar_images(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return images like one of the collection, and like the other terms."""
        return cast("Page[ImageResult]", self._similar("images", id, _query(q, arguments)))

    def similar_prompts(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Return prompts like one of the collection, and like the other terms."""
        return cast("Page[PromptResult]", self._similar("prompts", id, _query(q, arguments)))

    def images_of_prompt(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return the images of a prompt that have a vector, by row; with terms, best first."""
        condition = {"prompt": self.collection.items.prompt(id).text}
        query = _query(q, arguments)
        if query.cursor is not None and not has_condition(Cursor.decode(query.cursor).search.options, condition):
            raise CursorError(_OTHER_SEARCH)
        return cast("Page[ImageResult]", self._search("images", query.with_condition(condition)))

    def batch(self, queries: Iterable[BatchQuery]) -> list[AnyPage | PromptSearchError]:
        """Return the answers to many searches, encoded together; a wrong query's answer is its error.

        Raises ParameterError for a query without a `target`.
        """
        searches = [_try_query(query) for query in queries]
        terms = [term for search in searches if isinstance(search, tuple) for term in search[1].terms]
        texts, pictures = self._encode_texts(terms), self._encode_pictures(terms)
        answers: list[AnyPage | PromptSearchError] = []
        for search in searches:
            try:
                answers.append(self._search(*search, texts, pictures) if isinstance(search, tuple) else search)
            except PromptSearchError as error:
                answers.append(error)
        return answers

    def next_page(self, page: Page[Result]) -> Page[Result] | None:
        """Return the page after `page`; None if it was the last."""
        if page.next is None:
            return None
        arguments: Arguments = {"cursor": page.next, "limit": page.limit, "include": page.include}
        return cast("Page[Result]", self._search(page.kind, _query(None, arguments)))

    def pages(self, page: Page[Result]) -> Iterator[Page[Result]]:
        """Yield `page` and all pages after it."""
        following: Page[Result] | None = page
        while following is not None:
            yield following
            following = self.next_page(following)

    def image(self, id: str) -> ImageItem:
        """Return one image. Raises UnknownItem."""
        return ImageItem.from_dict(self._serializer.image(self.collection.items.image(id)))

    def prompt(self, id: str) -> PromptItem:
        """Return one prompt. Raises UnknownItem."""
        return PromptItem.from_dict(self._serializer.prompt(self.collection.items.prompt(id)))

    def thumbnail(self, id: str) -> bytes:
        """Return an image's thumbnail: WebP, at most 256 pixels a side. Raises UnknownItem or NoFile."""
        row = self.collection.items.image(id).row
        thumbnail = self.collection.thumbnails.get(row) if self.collection.thumbnails else None
        if thumbnail is None:
            raise NoFile(f"image {id} has no thumbnail: its picture was missing when the collection was built")
        return thumbnail

    def original(self, id: str) -> bytes:
        """Return the image's original file.

        Raises UnknownItem, and NoFile without `files`, if the file was removed, or if it now holds a picture that is
        hidden.
        """
        path, _ = self._paths(self.collection.items.image(id))
        if path is None:
            raise NoFile(f"the file of image {id} is not known: open the collection with files=DIR, its originals")
        try:
            if not Path(path).resolve().is_relative_to(cast("Path", self._files)):
                raise NoFile(f"the file of image {id} is outside of {self._files}")
            if self.collection.shows_hidden_picture(Path(path)):
                raise NoFile(
                    f"the file of image {id} no longer holds the picture that the collection was built from: build the "
                    "collection again"
                )
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: not a valid path
            raise NoFile(f"the file of image {id} cannot be read: {error}") from error

    def fields(self) -> list[Field]:
        """Return the fields that images can be filtered and sorted by."""
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
        """Return the vectors of texts. Raises EmptyQuery if there are none."""
        encoded = self._encode_texts(Term(text=text) for text in _not_empty(texts))
        return self._embeddings([encoded[text][0] for text in texts], self._notes(texts, encoded))

    def embed_images(self, images: Sequence[Any]) -> Embeddings:
        """Return the vectors of pictures, each the path or bytes of a file, or a PIL.Image.

        Raises PictureError, and EmptyQuery if there are none.
        """
        decoded = [self._decode(read_picture(image)) for image in _not_empty(images)]
        return self._embeddings(self.encoders.encode_images(decoded), ())

    def close(self) -> None:
        """Close the files of the collection."""
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
                raise CursorError(f"this cursor continues a search for {other}: pass it to search_{other}")
        else:
            query.options.check(kind)
            self.collection.index("images" if query.options.via else kind)  # before anything is encoded
            if texts is None:
                texts = self._encode_texts(query.terms, stopwatch)
            notes = self._notes([term.text for term in query.terms if term.text is not None], texts)
            vectors = [self._vector(term, texts, pictures, stopwatch) for term in query.terms]
            cursor = self.collection.begin(kind, query.terms, vectors, query.options, query.words)
        rows = self.collection.page(cursor, query.limit, stopwatch)
        with stopwatch("store"):
            results = self._serializer.page(kind, rows, with_vectors=query.with_vectors)
        result_class = ImageResult if kind == "images" else PromptResult
        return Page(
            kind=kind,
            collection=self.name,
            version=self.collection.version,
            took_ms=round(1000 * (time.perf_counter() - started), 3),
            results=tuple(result_class.from_dict(result) for result in results),
            next=None if rows.next is None else rows.next.encode(),
            notes=notes,
            explain={str(name): spent for name, spent in stopwatch.milliseconds.items()} if query.explain else None,
            limit=query.limit,
            include=query.include,
            read_thumbnails=self._read_thumbnails,
        )

    def _encode_texts(self, terms: Iterable[Term], stage: Stage = untimed) -> Texts:
        """Encode all texts among the terms together."""
        texts = list(dict.fromkeys(term.text for term in terms if term.text is not None))
        if not texts:
            return {}
        with stage("encode"):
            vectors = self.encoders.encode_texts(texts)
            truncated = [self.encoders.tokenizer.read(text)[1] for text in texts]
        return dict(zip(texts, zip(vectors, truncated, strict=True), strict=True))

    def _encode_pictures(self, terms: Iterable[Term]) -> Pictures:
        """Encode all pictures among the terms together; without those that cannot be decoded."""
        decoded: dict[bytes, PIL.Image.Image] = {}
        for picture in dict.fromkeys(term.picture for term in terms if term.picture is not None):
            with suppress(PromptSearchError):  # raised again, and reported, by the search of this term
                decoded[picture] = self._decode(picture)
        return dict(zip(decoded, self.encoders.encode_images([*decoded.values()]), strict=True)) if decoded else {}

    def _vector(self, term: Term, texts: Texts, pictures: Pictures, stage: Stage) -> NDArray[np.float32] | None:
        if term.text is not None:
            return texts[term.text][0]
        if term.picture is None:
            return None
        if term.picture in pictures:
            return pictures[term.picture]
        with stage("decode"):
            decoded = self._decode(term.picture)
        with stage("encode"):
            vector: NDArray[np.float32] = self.encoders.encode_images([decoded])[0]
        return vector

    def _decode(self, picture: bytes) -> PIL.Image.Image:
        spec = self.bundle.image
        return open_picture(picture, background=spec.background, shorter_side=spec.size)

    def _notes(self, texts: Sequence[str], encoded: Texts) -> tuple[str, ...]:
        context_length = self.bundle.text.context_length
        return tuple(dict.fromkeys(truncation_warning(text, context_length) for text in texts if encoded[text][1]))

    def _embeddings(self, vectors: Iterable[NDArray[np.float32]], notes: tuple[str, ...]) -> Embeddings:
        return Embeddings(np.stack([*vectors]), self.bundle.name, self.bundle.identity, notes)

    def _read_thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        if self.collection.thumbnails is None:
            return {}
        rows = {id: row for id in ids for row in self.collection.items.rows("images", [id])}
        thumbnails = {id: self.collection.thumbnails.get(row) for id, row in rows.items()}
        return {id: thumbnail for id, thumbnail in thumbnails.items() if thumbnail is not None}

    def _paths(self, image: Image) -> tuple[str | None, str | None]:
        has_file = self._files is not None and image.file is not None
        return f"{self._files}/{image.file}" if has_file else None, None


def _query(q: str | None, arguments: Arguments) -> Query:
    arguments = validated(arguments)
    limit, image = arguments.get("limit", DEFAULT_LIMIT), arguments.get("image")
    PARAMETERS["limit"].check(limit)
    pictures = [] if image is None else [read_picture(image)]
    return Query(
        terms=build_terms(q, pictures, arguments.get("terms", ()), arguments.get("negative")),
        options=Options.from_values(arguments),
        words=blank_to_none(q),
        cursor=arguments.get("cursor"),
        limit=limit,
        include=arguments.get("include"),
        explain=arguments.get("explain", False),
    )


def _try_query(query: BatchQuery) -> tuple[Kind, Query] | PromptSearchError:
    kind, q, arguments = split_batch_query(query)
    try:
        return kind, _query(q, arguments).require_terms()
    except PromptSearchError as error:
        return error


def _not_empty(contents: Sequence[Any]) -> Sequence[Any]:
    if not contents:
        raise EmptyQuery("there is nothing to embed: pass at least one text or picture")
    return contents
