"""The HTTP requests of the clients and how their responses are read; `client` sends them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import numpy as np

from promptsearch.client.arguments import (
    Arguments,
    BatchQuery,
    read_picture,
    request_body,
    split_batch_query,
    to_base64,
    validated,
)
from promptsearch.client.page import AnyPage, Page
from promptsearch.client.problems import error_from_problem
from promptsearch.client.results import (
    Embeddings,
    Field,
    ImageItem,
    ImageResult,
    PromptItem,
    PromptResult,
    ReadThumbnails,
)
from promptsearch.errors import ParameterError, PromptSearchError, UnknownCollection
from promptsearch.search.parameters import DEFAULT_LIMIT
from promptsearch.storage.manifest import Kind

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """One HTTP request, and the function that reads a successful response."""

    method: str
    path: str  # relative to the service's URL
    read: Callable[[httpx.Response], Answer]
    body: Mapping[str, Any] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


class RequestBuilder:
    """Builds requests to the service at `url` about one of its collections; None: the default collection."""

    def __init__(self, url: str, collection: str | None, read_thumbnails: ReadThumbnails) -> None:
        self.url = url.rstrip("/")
        self._collection = collection
        self._read_thumbnails = read_thumbnails

    @property
    def _collection_parameter(self) -> dict[str, str]:
        return {} if self._collection is None else {"collection": self._collection}

    def search(self, kind: Kind, q: str | None, arguments: Arguments) -> Request[Page[Any]]:
        """Return a search for images or prompts."""
        arguments = validated(arguments)
        body = {**request_body(q, arguments), **self._collection_parameter}
        return self._search(kind, body, arguments)

    def search_of_item(self, kind: Kind, path: str, q: str | None, arguments: Arguments) -> Request[Page[Any]]:
        """Return a search at the URL of an item, whose parameters cannot hold pictures. Raises ParameterError."""
        arguments = validated(arguments)
        body = request_body(q, arguments)
        if "image" in body or any("image" in term for term in body.get("terms", ())):
            raise ParameterError(
                "a search at an item cannot include pictures: use search_images or search_prompts with "
                "terms=[Term(id=...), Term(picture=...)]"
            )
        parameters = {name: _url_value(value) for name, value in {**body, **self._collection_parameter}.items()}
        return Request(
            "GET", path, lambda response: self._page(kind, arguments, response.json()), parameters=parameters
        )

    def next_page(self, page: AnyPage) -> Request[Page[Any]]:
        """Return the search for the page after `page`."""
        arguments: Arguments = {"cursor": page.next, "limit": page.limit, "include": page.include}
        # The collection is that of the page: the default one may have changed since.
        return self._search(page.kind, {**request_body(None, arguments), "collection": page.collection}, arguments)

    def batch(self, queries: Iterable[BatchQuery]) -> Request[list[AnyPage | PromptSearchError]]:
        """Return one request for many searches."""
        parts = [split_batch_query(query) for query in queries]
        bodies = [
            {"target": kind, **request_body(q, arguments), **self._collection_parameter} for kind, q, arguments in parts
        ]

        def read(response: httpx.Response) -> list[AnyPage | PromptSearchError]:
            return [
                self._page(kind, arguments, answer) if "results" in answer else error_from_problem(answer)
                for (kind, _, arguments), answer in zip(parts, response.json()["results"], strict=True)
            ]

        return Request("POST", "/search/batch", read, {"queries": bodies})

    def image(self, id: str) -> Request[ImageItem]:
        """Return the request for one image."""
        return Request(
            "GET",
            f"/images/{quote_id(id)}",
            lambda response: ImageItem.from_dict(response.json(), self.url),
            parameters=self._collection_parameter,
        )

    def prompt(self, id: str) -> Request[PromptItem]:
        """Return the request for one prompt."""
        return Request(
            "GET",
            f"/prompts/{quote_id(id)}",
            lambda response: PromptItem.from_dict(response.json(), self.url),
            parameters=self._collection_parameter,
        )

    def content(self, id: str, name: str) -> Request[bytes]:
        """Return the request for the `file` or `thumbnail` of an image."""
        path = f"/images/{quote_id(id)}/{name}"
        return Request("GET", path, lambda response: response.content, parameters=self._collection_parameter)

    def fields(self, collection: str) -> Request[list[Field]]:
        """Return the request for the fields of a collection."""
        path = f"/collections/{quote_id(collection)}/fields"
        return Request("GET", path, lambda response: [Field.from_dict(field) for field in response.json()["fields"]])

    def collections(self) -> Request[list[str]]:
        """Return the request for the names of all collections."""
        return Request("GET", "/collections", lambda response: _names(response.json()))

    def collection(self) -> Request[str]:
        """Return the request for the name of the collection that is searched."""

        def read(response: httpx.Response) -> str:
            name: str | None = self._collection or response.json()["default"]
            if name is None:
                names = ", ".join(_names(response.json()))
                raise UnknownCollection(
                    f"the service has several collections and no default: pass collection=, one of {names}"
                )
            return name

        return Request("GET", "/collections", read)

    def embed_texts(self, texts: Sequence[str]) -> Request[Embeddings]:
        """Return the request for the vectors of texts."""
        return self._embed("texts", list(texts))

    def embed_images(self, images: Sequence[Any]) -> Request[Embeddings]:
        """Return the request for the vectors of pictures. Raises PictureError."""
        return self._embed("images", [to_base64(read_picture(image)) for image in images])

    def _search(self, kind: Kind, body: Mapping[str, Any], arguments: Arguments) -> Request[Page[Any]]:
        return Request("POST", f"/search/{kind}", lambda response: self._page(kind, arguments, response.json()), body)

    def _embed(self, kind: str, contents: list[str]) -> Request[Embeddings]:
        def read(response: httpx.Response) -> Embeddings:
            data = response.json()
            vectors = np.asarray(data[kind], dtype=np.float32)
            return Embeddings(vectors, data["model"], data["identity"], tuple(data["notes"]))

        return Request("POST", "/embed", read, {kind: contents, **self._collection_parameter})

    def _page(self, kind: Kind, arguments: Arguments, data: Mapping[str, Any]) -> Page[Any]:
        result_class = ImageResult if kind == "images" else PromptResult
        return Page(
            kind=kind,
            collection=data["collection"],
            version=data["version"],
            took_ms=data["took_ms"],
            results=tuple(result_class.from_dict(result, self.url) for result in data["results"]),
            next=data["next"],
            notes=tuple(data["notes"]),
            explain=data.get("explain"),
            limit=arguments.get("limit", DEFAULT_LIMIT),
            include=arguments.get("include"),
            read_thumbnails=self._read_thumbnails,
        )


def quote_id(id: str) -> str:
    """Return an id as one segment of a URL's path."""
    return quote(id, safe="")


def _names(answer: Mapping[str, Any]) -> list[str]:
    return [collection["name"] for collection in answer["collections"]]


def _url_value(value: Any) -> str:
    """Return a value as a URL parameter: text unchanged, other types as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
