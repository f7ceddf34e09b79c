"""Requests of the HTTP clients, and how answers are read; `client` sends them."""

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
)
from promptsearch.client.problems import error_from_problem
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
    ReadThumbnails,
)
from promptsearch.errors import ParameterError, PromptSearchError, UnknownCollection
from promptsearch.storage.manifest import Kind

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """One request, and what to make of its answer, which is none of an error."""

    method: str
    path: str  # below the service's address
    read: Callable[[httpx.Response], Answer]
    body: Mapping[str, Any] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


class RequestBuilder:
    """Those to one service, about one of its collections or (None) the default one."""

    def __init__(self, url: str, collection: str | None, read_thumbnails: ReadThumbnails) -> None:
        self.url = url.rstrip("/")
        self._collection = collection
        self._read_thumbnails = read_thumbnails

    @property
    def _named(self) -> dict[str, str]:
        return {} if self._collection is None else {"collection": self._collection}

    def search(self, kind: Kind, q: str | None, given: Arguments) -> Request[Page[Any]]:
        body = {**request_body(q, given), **self._named}
        return Request("POST", f"/search/{kind}", lambda response: self._page(kind, given, response.json()), body)

    def of_item(self, kind: Kind, path: str, q: str | None, given: Arguments) -> Request[Page[Any]]:
        """A search at an item's own address, which takes no pictures."""
        body = request_body(q, given)
        if "image" in body or any("image" in term for term in body.get("terms", ())):
            raise ParameterError(
                "pictures cannot be sent beside an item: search_images and search_prompts take both, "
                "with terms=[Term(id=...), Term(picture=...)]"
            )
        parameters = {name: _text(value) for name, value in {**body, **self._named}.items()}
        return Request("GET", path, lambda response: self._page(kind, given, response.json()), parameters=parameters)

    def next_page(self, page: AnyPage) -> Request[Page[Any]]:
        # Of the collection that answered: the default one may be another by now.
        given: Arguments = {"cursor": page.next, "k": page.k, "include": page.include}
        body = {**request_body(None, given), "collection": page.collection}
        return Request(
            "POST", f"/search/{page.kind}", lambda response: self._page(page.kind, given, response.json()), body
        )

    def batch(self, queries: Iterable[BatchQuery]) -> Request[list[AnyPage | PromptSearchError]]:
        asked = list(queries)
        bodies = [{**_batch_body(query), **self._named} for query in asked]

        def read(response: httpx.Response) -> list[AnyPage | PromptSearchError]:
            results = response.json()["results"]
            return [
                self._page(query["target"], query, found) if "results" in found else error_from_problem(found)
                for query, found in zip(asked, results, strict=True)
            ]

        return Request("POST", "/search/batch", read, {"queries": bodies})

    def image(self, id: str) -> Request[ImageItem]:
        path = f"/images/{quote(id, safe='')}"
        return Request("GET", path, lambda response: ImageItem.of(response.json(), self.url), parameters=self._named)

    def prompt(self, id: str) -> Request[PromptItem]:
        path = f"/prompts/{quote(id, safe='')}"
        return Request("GET", path, lambda response: PromptItem.of(response.json(), self.url), parameters=self._named)

    def content(self, id: str, what: str) -> Request[bytes]:
        path = f"/images/{quote(id, safe='')}/{what}"
        return Request("GET", path, lambda response: response.content, parameters=self._named)

    def fields(self, collection: str) -> Request[list[Field]]:
        path = f"/collections/{quote(collection, safe='')}/fields"
        return Request("GET", path, lambda response: [Field.of(one) for one in response.json()["fields"]])

    def collections(self) -> Request[list[str]]:
        return Request("GET", "/collections", lambda response: [one["name"] for one in response.json()["collections"]])

    def collection(self) -> Request[str]:
        """The name of the one that is asked."""

        def read(response: httpx.Response) -> str:
            default: str | None = self._collection or response.json()["default"]
            if default is None:
                names = ", ".join(one["name"] for one in response.json()["collections"])
                raise UnknownCollection(f"several collections are served: name one with `collection` ({names})")
            return default

        return Request("GET", "/collections", read)

    def embed_texts(self, texts: Sequence[str]) -> Request[Embeddings]:
        return self._embed("texts", list(texts))

    def embed_images(self, images: Sequence[Any]) -> Request[Embeddings]:
        return self._embed("images", [to_base64(read_picture(image)) for image in images])

    def _embed(self, what: str, given: list[str]) -> Request[Embeddings]:
        def read(response: httpx.Response) -> Embeddings:
            data = response.json()
            vectors = np.asarray(data[what], dtype=np.float32)
            return Embeddings(vectors, data["model"], data["identity"], tuple(data["notes"]))

        return Request("POST", "/embed", read, {what: given, **self._named})

    def _page(self, kind: Kind, given: Mapping[str, Any], data: Mapping[str, Any]) -> Page[Any]:
        result = ImageResult if kind == "images" else PromptResult
        return Page(
            kind=kind,
            collection=data["collection"],
            version=data["version"],
            took_ms=data["took_ms"],
            results=tuple(result.of(one, self.url) for one in data["results"]),
            next=data["next"],
            notes=tuple(data["notes"]),
            explain=data.get("explain"),
            k=given.get("k", DEFAULT_LIMIT),
            include=given.get("include"),
            read_thumbnails=self._read_thumbnails,
        )


def _batch_body(query: BatchQuery) -> dict[str, Any]:
    kind, q, arguments = split_batch_query(query)
    return {"target": kind, **request_body(q, arguments)}


def _text(value: Any) -> str:
    """In a URL: text as it is, whatever else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
