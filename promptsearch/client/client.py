"""A service's searches from Python, over HTTP: the same methods and results as `promptsearch.open` gives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote

import httpx

from promptsearch.client.arguments import Arguments, BatchQuery
from promptsearch.client.problems import error_from_response
from promptsearch.client.requests import Request, RequestBuilder
from promptsearch.client.results import (
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
from promptsearch.client.retries import Retries
from promptsearch.errors import NotFound, PromptSearchError, ServiceError
from promptsearch.version import __version__

Answer = TypeVar("Answer")
TIMEOUT = 30.0  # seconds
_RETRIES = Retries()


class Client:
    """`collection`: one of several that the service has; unless said, its default one. `api_key`: where it wants one.
    Errors are those of the library, and ServiceError. A request that is refused for the moment (429, 503), or whose
    connection breaks, is sent again as `retries` says, after as long as the service's Retry-After asks for.

    Safe to use from any thread; `close`, or a `with` block, ends its connections.
    """

    def __init__(
        self, url: str, *, collection: str | None = None, api_key: str | None = None, timeout: float = TIMEOUT,
        retries: Retries = _RETRIES,
    ) -> None:  # fmt: skip
        self._requests = RequestBuilder(url, collection, self._thumbnails)
        self._http = httpx.Client(**_settings(url, api_key, timeout))
        self._retries = retries

    def search_images(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Images by text, picture and more: see `promptsearch.arguments.Arguments`."""
        return self._ask(self._requests.search("images", q, arguments))

    def search_prompts(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Prompts by text, picture and more: see `promptsearch.arguments.Arguments`."""
        return self._ask(self._requests.search("prompts", q, arguments))

    def similar_images(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """What is nearest to an image of the collection, and to what else is asked."""
        return self._ask(self._requests.of_item("images", f"/images/{_quoted(id)}/similar", q, arguments))

    def similar_prompts(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """What is nearest to a prompt of the collection, and to what else is asked."""
        return self._ask(self._requests.of_item("prompts", f"/prompts/{_quoted(id)}/similar", q, arguments))

    def images_of_prompt(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """Those that have a vector, by row; with terms, the best first."""
        return self._ask(self._requests.of_item("images", f"/prompts/{_quoted(id)}/images", q, arguments))

    def batch(self, queries: Iterable[BatchQuery]) -> list[AnyPage | PromptSearchError]:
        """Many searches, encoded together; the answer to one that is wrong is its error."""
        return self._ask(self._requests.batch(queries))

    def next_page(self, page: Page[Result]) -> Page[Result] | None:
        """The page after this one; None where it was the last."""
        if page.next is None:
            return None
        following: Page[Result] = self._ask(self._requests.next_page(page))
        return following

    def pages(self, page: Page[Result]) -> Iterator[Page[Result]]:
        """This page and all that follow it."""
        following: Page[Result] | None = page
        while following is not None:
            yield following
            following = self.next_page(following)

    def image(self, id: str) -> ImageItem:
        """One image; raises UnknownItem."""
        return self._ask(self._requests.image(id))

    def prompt(self, id: str) -> PromptItem:
        """One prompt; raises UnknownItem."""
        return self._ask(self._requests.prompt(id))

    def thumbnail(self, id: str) -> bytes:
        """WebP, at most 256 pixels a side; raises UnknownItem or NoFile."""
        return self._ask(self._requests.content(id, "thumbnail"))

    def original(self, id: str) -> bytes:
        """The image's file, where the service gives it; raises UnknownItem or NoFile."""
        return self._ask(self._requests.content(id, "file"))

    def collections(self) -> list[str]:
        """The names of those that are served."""
        return self._ask(self._requests.collections())

    def fields(self) -> list[Field]:
        """What images can be filtered and sorted by."""
        collection = self._ask(self._requests.collection())
        return self._ask(self._requests.fields(collection))

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of texts."""
        return self._ask(self._requests.embed_texts(texts))

    def embed_images(self, images: Sequence[Any]) -> Embeddings:
        """The vectors of pictures, each the path or bytes of a file, or a PIL.Image."""
        return self._ask(self._requests.embed_images(images))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: Request[Answer]) -> Answer:
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**_request(call))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(tries, outcome)
            if wait is None:
                return _answer(self._requests.url, call, outcome)
            time.sleep(wait)

    def _thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        found = {}
        for id in ids:
            with contextlib.suppress(NotFound):
                found[id] = self.thumbnail(id)
        return found


class AsyncClient:
    """`collection`: one of several that the service has; unless said, its default one. `api_key`: where it wants one.
    Errors are those of the library, and ServiceError. A request that is refused for the moment (429, 503), or whose
    connection breaks, is sent again as `retries` says, after as long as the service's Retry-After asks for.

    For one event loop; `aclose`, or an `async with` block, ends its connections.
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
        """Images by text, picture and more: see `promptsearch.arguments.Arguments`."""
        return await self._ask(self._requests.search("images", q, arguments))

    async def search_prompts(self, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[PromptResult]:
        """Prompts by text, picture and more: see `promptsearch.arguments.Arguments`."""
        return await self._ask(self._requests.search("prompts", q, arguments))

    async def similar_images(self, id: str, q: str | None = None, **arguments: Unpack[Arguments]) -> Page[ImageResult]:
        """What is nearest to an image of the collection, and to what else is asked."""
        return await self._ask(self._requests.of_item("images", f"/images/{_quoted(id)}/similar", q, arguments))

    async def similar_prompts(
        self, id: str, q: str | None = None, **arguments: Unpack[Arguments]
    ) -> Page[PromptResult]:
        """What is nearest to a prompt of the collection, and to what else is asked."""
        return await self._ask(self._requests.of_item("prompts", f"/prompts/{_quoted(id)}/similar", q, arguments))

    async def images_of_prompt(
        self, id: str, q: str | None = None, **arguments: Unpack[Arguments]
    ) -> Page[ImageResult]:
        """Those that have a vector, by row; with terms, the best first."""
        return await self._ask(self._requests.of_item("images", f"/prompts/{_quoted(id)}/images", q, arguments))

    async def batch(self, queries: Iterable[BatchQuery]) -> list[AnyPage | PromptSearchError]:
        """Many searches, encoded together; the answer to one that is wrong is its error."""
        return await self._ask(self._requests.batch(queries))

    async def next_page(self, page: Page[Result]) -> Page[Result] | None:
        """The page after this one; None where it was the last."""
        if page.next is None:
            return None
        following: Page[Result] = await self._ask(self._requests.next_page(page))
        return following

    async def pages(self, page: Page[Result]) -> AsyncIterator[Page[Result]]:
        """This page and all that follow it."""
        following: Page[Result] | None = page
        while following is not None:
            yield following
            following = await self.next_page(following)

    async def image(self, id: str) -> ImageItem:
        """One image; raises UnknownItem."""
        return await self._ask(self._requests.image(id))

    async def prompt(self, id: str) -> PromptItem:
        """One prompt; raises UnknownItem."""
        return await self._ask(self._requests.prompt(id))

    async def thumbnail(self, id: str) -> bytes:
        """WebP, at most 256 pixels a side; raises UnknownItem or NoFile."""
        return await self._ask(self._requests.content(id, "thumbnail"))

    async def original(self, id: str) -> bytes:
        """The image's file, where the service gives it; raises UnknownItem or NoFile."""
        return await self._ask(self._requests.content(id, "file"))

    async def collections(self) -> list[str]:
        """The names of those that are served."""
        return await self._ask(self._requests.collections())

    async def fields(self) -> list[Field]:
        """What images can be filtered and sorted by."""
        collection = await self._ask(self._requests.collection())
        return await self._ask(self._requests.fields(collection))

    async def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of texts."""
        return await self._ask(self._requests.embed_texts(texts))

    async def embed_images(self, images: Sequence[Any]) -> Embeddings:
        """The vectors of pictures, each the path or bytes of a file, or a PIL.Image."""
        return await self._ask(self._requests.embed_images(images))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _ask(self, call: Request[Answer]) -> Answer:
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(**_request(call))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(tries, outcome)
            if wait is None:
                return _answer(self._requests.url, call, outcome)
            await asyncio.sleep(wait)

    def _thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """For a notebook, which does not wait for what shows a page."""
        with self._blocking() as client:
            return client._thumbnails(ids)


def _settings(url: str, api_key: str | None, timeout: float) -> dict[str, Any]:
    headers = {"User-Agent": f"prompt-search/{__version__}"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout}


def _request(call: Request[Any]) -> dict[str, Any]:
    return {"method": call.method, "url": call.path, "json": call.body, "params": call.parameters or None}


def _answer(url: str, call: Request[Answer], outcome: httpx.Response | httpx.TransportError) -> Answer:
    if isinstance(outcome, httpx.TransportError):
        raise ServiceError(f"{url} gives no answer: {outcome or type(outcome).__name__}") from outcome
    if not outcome.is_success:
        raise error_from_response(outcome)
    try:
        return call.read(outcome)
    except (ValueError, KeyError, TypeError) as error:  # something else listens there
        raise ServiceError(f"{outcome.request.url} answers as no prompt-search does: {error!r}") from error


def _quoted(id: str) -> str:
    return quote(id, safe="")
