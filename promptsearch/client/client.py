"""HTTP clients with the methods and results of `promptsearch.open`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from promptsearch.client.arguments import Arguments, BatchQuery
from promptsearch.client.page import AnyPage, Page, Result
from promptsearch.client.problems import error_from_response
from promptsearch.client.requests import Request, RequestBuilder, quote_id
from promptsearch.client.results import Embeddings, Field, ImageItem, ImageResult, PromptItem, PromptResult
from promptsearch.client.retries import Retries
from promptsearch.errors import NotFound, PromptSearchError, ServiceError, one_line
from promptsearch.version import __version__

Answer = TypeVar("Answer")
TIMEOUT = 30.0  # seconds
_RETRIES = Retries()


class Client:
    """Blocking client of the service at `url`.

    `collection`: the name of a collection (default: the service's default). `api_key`: required by some services.
    `timeout`: seconds that a connection or an answer may take. `retries`: how often a request is repeated that was
    rejected temporarily (429, 502, 503, 504) or whose connection broke, after the service's Retry-After. Methods raise
    the errors of `Searcher`, and ServiceError.

    Safe to use from several threads. `close`, or a `with` block, closes its connections.
    """

    def __init__(
        self, url: str, *, collection: str | None = None, api_key: str | None = None, timeout: float = TIMEOUT,
        retries: Retries = _RETRIES,
    ) -> None:  # fmt: skip
        self._requests = RequestBuilder(url, collection, self._thumbnails)
        self._http = httpx.Client(**_settings(url, api_key, timeout))
        self._retries = retries

    def search_images(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return images by text, picture and more; see `promptsearch.client.arguments.Arguments`."""
        return self._send(self._requests.search("images", q, arguments))

    def search_prompts(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Return prompts by text, picture and more; see `promptsearch.client.arguments.Arguments`."""
        return self._send(self._requests.search("prompts", q, arguments))

    def similar_images(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return images like one of the collection, and like the other terms."""
        return self._send(self._requests.search_of_item("images", f"/images/{quote_id(id)}/similar", q, arguments))

    def similar_prompts(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Return prompts like one of the collection, and like the other terms."""
        return self._send(self._requests.search_of_item("prompts", f"/prompts/{quote_id(id)}/similar", q, arguments))

    def images_of_prompt(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return the images of a prompt that have a vector, by row; with terms, best first."""
        return self._send(self._requests.search_of_item("images", f"/prompts/{quote_id(id)}/images", q, arguments))

    def batch(self, queries: Iterable[BatchQuery]) -> list[AnyPage | PromptSearchError]:
        """Return the answers to many searches, encoded together; in place of an answer the error of a wrong query."""
        return self._send(self._requests.batch(queries))

    def next_page(self, page: Page[Result]) -> Page[Result] | None:
        """Return the page after `page`; None if it was the last."""
        if page.next is None:
            return None
        following: Page[Result] = self._send(self._requests.next_page(page))
        return following

    def pages(self, page: Page[Result]) -> Iterator[Page[Result]]:
        """Yield `page` and all pages after it."""
        following: Page[Result] | None = page
        while following is not None:
            yield following
            following = self.next_page(following)

    def image(self, id: str) -> ImageItem:
        """Return one image. Raises UnknownItem."""
        return self._send(self._requests.image(id))

    def prompt(self, id: str) -> PromptItem:
        """Return one prompt. Raises UnknownItem."""
        return self._send(self._requests.prompt(id))

    def thumbnail(self, id: str) -> bytes:
        """Return an image's thumbnail: WebP, at most 256 pixels a side. Raises UnknownItem or NoFile."""
        return self._send(self._requests.content(id, "thumbnail"))

    def original(self, id: str) -> bytes:
        """Return the image's original file, if the service offers it. Raises UnknownItem or NoFile."""
        return self._send(self._requests.content(id, "file"))

    def collections(self) -> list[str]:
        """Return the names of the collections."""
        return self._send(self._requests.collections())

    def fields(self) -> list[Field]:
        """Return the fields that images can be filtered and sorted by."""
        collection = self._send(self._requests.collection())
        return self._send(self._requests.fields(collection))

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of texts."""
        return self._send(self._requests.embed_texts(texts))

    def embed_images(self, images: Sequence[Any]) -> Embeddings:
        """Return the vectors of pictures, each the path or bytes of a file, or a PIL.Image."""
        return self._send(self._requests.embed_images(images))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, request: Request[Answer]) -> Answer:
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**_httpx_arguments(request))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(tries, outcome)
            if wait is None:
                return _answer(self._requests.url, request, outcome)
            time.sleep(wait)

    def _thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        thumbnails = {}
        for id in ids:
            with contextlib.suppress(NotFound):
                thumbnails[id] = self.thumbnail(id)
        return thumbnails


class AsyncClient:
    """Asynchronous client of the service at `url`.

    `collection`: the name of a collection (default: the service's default). `api_key`: required by some services.
    `timeout`: seconds that a connection or an answer may take. `retries`: how often a request is repeated that was
    rejected temporarily (429, 502, 503, 504) or whose connection broke, after the service's Retry-After. Methods raise
    the errors of `Searcher`, and ServiceError.

    For one event loop. `aclose`, or an `async with` block, closes its connections.
    """

    def __init__(
        self, url: str, *, collection: str | None = None, api_key: str | None = None, timeout: float = TIMEOUT,
        retries: Retries = _RETRIES,
    ) -> None:  # fmt: skip
        self._requests = RequestBuilder(url, collection, self._thumbnails)
        self._http = httpx.AsyncClient(**_settings(url, api_key, timeout))
        self._retries = retries
        self._blocking = partial(Client, url, collection=collection, api_key=api_key, timeout=timeout, retries=retries)

    async def search_images(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return images by text, picture and more; see `promptsearch.client.arguments.Arguments`."""
        return await self._send(self._requests.search("images", q, arguments))

    async def search_prompts(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Return prompts by text, picture and more; see `promptsearch.client.arguments.Arguments`."""
        return await self._send(self._requests.search("prompts", q, arguments))

    async def similar_images(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Return images like one of the collection, and like the other terms."""
        return await self._send(
            self._requests.search_of_item("images", f"/images/{quote_id(id)}/similar", q, arguments)
        )

    async def similar_prompts(
        self, id: str, q: str | None = None, **arguments: Unpack[Arguments]
    ) -> Page[PromptResult]:
        """Return prompts like one of the collection, and like the other terms."""
        return await self._send(
            self._requests.search_of_item("prompts", f"/prompts/{quote_id(id)}/similar", q, arguments)
        )

    async def images_of_prompt(
        self, id: str, q: str | None = None, **arguments: Unpack[Arguments]
    ) -> Page[ImageResult]:
        """Return the images of a prompt that have a vector, by row; with terms, best first."""
        return await self._send(
            self._requests.search_of_item("images", f"/prompts/{quote_id(id)}/images", q, arguments)
        )

    async def batch(self, queries: Iterable[BatchQuery]) -> list[AnyPage | PromptSearchError]:
        """Return the answers to many searches, encoded together; in place of an answer the error of a wrong query."""
        return await self._send(self._requests.batch(queries))

    async def next_page(self, page: Page[Result]) -> Page[Result] | None:
        """Return the page after `page`; None if it was the last."""
        if page.next is None:
            return None
        following: Page[Result] = await self._send(self._requests.next_page(page))
        return following

    async def pages(self, page: Page[Result]) -> AsyncIterator[Page[Result]]:
        """Yield `page` and all pages after it."""
        following: Page[Result] | None = page
        while following is not None:
            yield following
            following = await self.next_page(following)

    async def image(self, id: str) -> ImageItem:
        """Return one image. Raises UnknownItem."""
        return await self._send(self._requests.image(id))

    async def prompt(self, id: str) -> PromptItem:
        """Return one prompt. Raises UnknownItem."""
        return await self._send(self._requests.prompt(id))

    async def thumbnail(self, id: str) -> bytes:
        """Return an image's thumbnail: WebP, at most 256 pixels a side. Raises UnknownItem or NoFile."""
        return await self._send(self._requests.content(id, "thumbnail"))

    async def original(self, id: str) -> bytes:
        """Return the image's original file, if the service offers it. Raises UnknownItem or NoFile."""
        return await self._send(self._requests.content(id, "file"))

    async def collections(self) -> list[str]:
        """Return the names of the collections."""
        return await self._send(self._requests.collections())

    async def fields(self) -> list[Field]:
        """Return the fields that images can be filtered and sorted by."""
        collection = await self._send(self._requests.collection())
        return await self._send(self._requests.fields(collection))

    async def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of texts."""
        return await self._send(self._requests.embed_texts(texts))

    async def embed_images(self, images: Sequence[Any]) -> Embeddings:
        """Return the vectors of pictures, each the path or bytes of a file, or a PIL.Image."""
        return await self._send(self._requests.embed_images(images))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send(self, request: Request[Answer]) -> Answer:
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(**_httpx_arguments(request))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(tries, outcome)
            if wait is None:
                return _answer(self._requests.url, request, outcome)
            await asyncio.sleep(wait)

    def _thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return thumbnails without awaiting: notebooks show a page synchronously."""
        with self._blocking() as client:
            return client._thumbnails(ids)


def _settings(url: str, api_key: str | None, timeout: float) -> dict[str, Any]:
    headers = {"User-Agent": f"prompt-search/{__version__}"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout}


def _httpx_arguments(request: Request[Any]) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "json": request.body,
        "params": request.parameters or None,
    }


def _answer(url: str, request: Request[Answer], outcome: httpx.Response | httpx.TransportError) -> Answer:
    if isinstance(outcome, httpx.TransportError):
        raise ServiceError(f"{url} cannot be reached: {one_line(outcome)}") from outcome
    if not outcome.is_success:
        raise error_from_response(outcome)
    try:
        return request.read(outcome)
    except (ValueError, KeyError, TypeError) as error:  # another program listens there
        raise ServiceError(f"{outcome.request.url} did not answer as prompt-search does: {error!r}") from error
