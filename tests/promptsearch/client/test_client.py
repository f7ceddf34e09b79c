"""The HTTP clients: keys, collections, waiting and errors. test_same_answers.py compares their answers."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from promptsearch import AsyncClient, Client, Term
from promptsearch.client.page import Page
from promptsearch.client.results import ImageResult
from promptsearch.client.retries import Retries
from promptsearch.errors import KeyNeeded, NotReady, ParameterError, RateExceeded, ServiceError, UnknownCollection
from tests.promptsearch.client.unsteady import Refusal, refusing
from tests.promptsearch.conftest import Gallery
from tests.service.support.serving import Service, serving

BUSY: Refusal = (503, "0", "busy")
PROBLEM = '{"type": "urn:prompt-search:not-ready", "title": "", "status": 503, "detail": "the index is read"}'


def blocking(url: str, **settings: Any) -> Page[ImageResult]:
    with Client(url, **settings) as client:
        return client.search_images("fox")


def waiting(url: str, **settings: Any) -> Page[ImageResult]:
    async def ask() -> Page[ImageResult]:
        async with AsyncClient(url, **settings) as client:
            return await client.search_images("fox")

    return asyncio.run(ask())


either = pytest.mark.parametrize("ask", [blocking, waiting])


@either
def test_temporary_rejection_is_retried(ask: Any) -> None:
    with refusing(BUSY, (429, formatdate(0, usegmt=True), ""), "reset") as server:
        assert ask(server.url + "/").collection == "c"
        assert len(server.requests) == 4
        assert {str(request) for request in server.requests} == {str(("/search/images", None, {"q": "fox"}))}


@either
def test_retries_are_limited(ask: Any) -> None:
    with refusing(*[BUSY] * 4, (503, "0", PROBLEM)) as server:
        with pytest.raises(ServiceError, match="answered 503 Service Unavailable: busy") as caught:
            ask(server.url)
        assert (caught.value.status, caught.value.type) == (503, None)
        assert len(server.requests) == 4
        with pytest.raises(NotReady, match="the index is read"):
            ask(server.url, retries=Retries(most=0))
        assert ask(server.url, retries=Retries(most=0)).results == ()


@either
def test_a_long_retry_after_is_not_waited_for(ask: Any) -> None:
    with refusing((503, "3600", PROBLEM)) as server:
        with pytest.raises(NotReady):
            ask(server.url)
        assert len(server.requests) == 1


@either
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_permanent_error_is_not_retried(ask: Any, status: int) -> None:
    with refusing((status, "0", "<html>")) as server:
        with pytest.raises(ServiceError, match=f"answered {status} ") as caught:
            ask(server.url)
        assert caught.value.status == status
        assert len(server.requests) == 1


@either
def test_answer_of_another_program_is_an_error(ask: Any) -> None:
    for text in ("<html>", "{}", "[1]"):
        with (
            refusing((200, None, text)) as server,
            pytest.raises(ServiceError, match="did not answer as prompt-search does"),
        ):
            ask(server.url)


@either
def test_unreachable_service_is_an_error(ask: Any) -> None:
    with refusing() as server:
        gone = server.url
    with pytest.raises(ServiceError, match="cannot be reached"):
        ask(gone, retries=Retries(most=1))


def test_api_keys_and_rate_limits(pictures: Gallery, tmp_path: Path) -> None:
    flags = ["--indices", str(pictures.collection.parent), "--models", str(pictures.models)]
    limits = {"PROMPT_SEARCH_API_KEYS": "opens-everything,opens-everything-too", "PROMPT_SEARCH_RATE_LIMIT": "2/second"}
    with serving(tmp_path, flags, settings=limits) as service:
        with pytest.raises(KeyNeeded):
            blocking(service.url)
        with Client(service.url, api_key="opens-everything") as client:
            for _ in range(5):  # three of them wait
                assert len(client.search_images("fox", limit=3)) == 3
        with Client(service.url, api_key="opens-everything-too", retries=Retries(most=0)) as hasty:
            with pytest.raises(RateExceeded) as caught:
                all(hasty.search_images("fox", limit=3) for _ in range(50))
            assert caught.value.retry_after >= 1
        assert service.end() == 0


def test_collection_is_chosen_by_name(service: Service, client: Client) -> None:
    assert client.collections() == ["gallery"]
    with Client(service.url, collection="gallery") as named:
        assert named.search_prompts("fox", limit=1).collection == "gallery"
        assert named.fields() == client.fields()
    with Client(service.url, collection="other") as other:
        for ask in (other.search_images, other.similar_images, other.thumbnail):
            with pytest.raises(UnknownCollection):
                ask("fox")
        with pytest.raises(UnknownCollection):
            other.fields()


def test_urls_of_files_are_absolute(client: Client, service: Service) -> None:
    result = client.search_images("fox", limit=1)[0]
    for address in (result.image.file, result.image.thumbnail):
        assert address is not None
        assert address.startswith(f"{service.url}/images/{result.id}/")
        assert httpx.get(address).is_success


def test_notebook_shows_page_of_async_client(service: Service) -> None:
    assert waiting(service.url)._repr_html_().count("data:image/webp") == 20


def test_pages_are_yielded_asynchronously(service: Service, client: Client) -> None:
    async def ask() -> list[str]:
        async with AsyncClient(service.url) as awaited:
            first = await awaited.search_images("fox", limit=25)
            return [result.id async for page in awaited.pages(first) for result in page]

    assert asyncio.run(ask()) == [result.id for result in client.search_images("fox", limit=200)]


def test_pictures_cannot_be_sent_with_an_item(client: Client) -> None:
    id = client.search_images("fox", limit=1)[0].id
    with pytest.raises(ParameterError, match=r"Term\(id=\.\.\.\)"):
        client.similar_images(id, terms=[Term(picture=b"any")])
    with pytest.raises(ParameterError, match="cannot include pictures"):
        client.similar_images(id, image=b"any")
