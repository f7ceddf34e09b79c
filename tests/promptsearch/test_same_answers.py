"""The library and both HTTP clients give the same answers: results, scores, pages, notes and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import promptsearch
from promptsearch import Client, PromptSearchError, Searcher, Term
from promptsearch.client.page import AnyPage
from promptsearch.encoding.encoders import Encoders
from tests.service.support.serving import Service
from tests.support.calls import watched
from tests.support.drawing import as_bytes, picture

UPLOAD = as_bytes(picture(7, 120, 80))
FOX = "a red fox in the snow"
LONG = "castle " * 200
TOLERANCE = 2e-5  # of scores: a text that is encoded together with others has the same vector except for its last bits


class Blocking:
    """The asynchronous client, one event loop a question."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            async def call() -> Any:
                async with promptsearch.AsyncClient(self._url) as client:
                    return await getattr(client, name)(*arguments, **named)

            return asyncio.run(call())

        return ask


@pytest.fixture(params=["Client", "AsyncClient"])
def remote(request: pytest.FixtureRequest, client: Client, service: Service) -> Client:
    return client if request.param == "Client" else cast("Client", Blocking(service.url))


@pytest.fixture(scope="session")
def image(searcher: Searcher) -> str:
    """Return an image's id."""
    return searcher.search_images(FOX)[0].id


@pytest.fixture(scope="session")
def prompt(searcher: Searcher) -> str:
    """Return the id of a prompt of three images."""
    return searcher.search_prompts(FOX)[0].id


Ask = Callable[[Searcher | Client], AnyPage]

SEARCHES: dict[str, Ask] = {
    "text": lambda c: c.search_images("fox", limit=7),
    "prompts": lambda c: c.search_prompts("fox", limit=7),
    "everything there is": lambda c: c.search_images("fox", limit=200),
    "negative": lambda c: c.search_images("castle", negative="night", limit=7),
    "picture": lambda c: c.search_images(image=UPLOAD, limit=7),
    "prompts of a picture": lambda c: c.search_prompts(image=UPLOAD, limit=7),
    "PIL": lambda c: c.search_images(image=picture(3), limit=7),
    "picture and text": lambda c: c.search_images("fox", image=UPLOAD, limit=7),
    "terms": lambda c: c.search_images(
        terms=[Term(text="castle"), Term(picture=UPLOAD, weight=0.5), Term(text="night", weight=-0.25)], limit=7
    ),
    "vector": lambda c: c.search_images(terms=[Term(vector=tuple(float(n) for n in range(-16, 16)))], limit=7),
    "equal": lambda c: c.search_images("fox", filter={"sampler": "k_lms"}, limit=7),
    "one of": lambda c: c.search_images("fox", filter={"sampler": ["k_lms", "ddim"]}, limit=7),
    "range": lambda c: c.search_images("fox", filter={"steps": {"gte": 30, "lt": 50}}, limit=7),
    "or and not": lambda c: c.search_images(
        "fox", filter={"or": [{"seed": 1003}, {"style": "oil"}], "not": {"steps": 20}}, limit=7
    ),
    "exists": lambda c: c.search_prompts("fox", filter={"cfg_scale": {"exists": False}}, limit=7),
    "time": lambda c: c.search_images("fox", filter={"created": {"lte": "2023-03"}}, limit=7),
    "nothing meets it": lambda c: c.search_images("fox", filter={"steps": {"gt": 1000}}),
    "filter alone": lambda c: c.search_images(filter={"style": "ink"}, limit=7),
    "filtered prompts": lambda c: c.search_prompts(filter={"sampler": "ddim"}, limit=7),
    "keyword": lambda c: c.search_images("red fox", mode="keyword", limit=2),
    "keyword prompts": lambda c: c.search_prompts("castle", mode="keyword", limit=2),
    "keyword by score": lambda c: c.search_images("fox", mode="keyword", sort="score", limit=2),
    "keyword, grouped": lambda c: c.search_images("fox", mode="keyword", group_by="prompt", limit=7),
    "hybrid by score": lambda c: c.search_images("castle", mode="hybrid", sort="-score", limit=7),
    "hybrid": lambda c: c.search_images("castle", mode="hybrid", limit=7),
    "hybrid prompts": lambda c: c.search_prompts("castle", mode="hybrid", limit=7),
    "sort": lambda c: c.search_images("fox", sort="-seed", limit=7),
    "sort without a query": lambda c: c.search_prompts(sort="steps", limit=7),
    "sort by score": lambda c: c.search_images("fox", sort="score", limit=7),
    "min_score": lambda c: c.search_images(FOX, min_score=0.1, limit=7),
    "group_by": lambda c: c.search_images("fox", group_by="prompt", limit=7),
    "deduplicate": lambda c: c.search_images("fox", deduplicate=True, limit=7),
    "deduplicated prompts": lambda c: c.search_prompts("fox", deduplicate=True, limit=7),
    "diversity": lambda c: c.search_images("fox", diversity=0.5, limit=7),
    "via": lambda c: c.search_prompts(image=UPLOAD, via="images", limit=7),
    "include": lambda c: c.search_images("fox", include="vector", limit=3),
    "include in prompts": lambda c: c.search_prompts("fox", include="vector", limit=3),
    "explain": lambda c: c.search_images("fox", image=UPLOAD, explain=True, limit=7),
    "cut": lambda c: c.search_images(LONG, negative=f"{LONG} and more", limit=7),
    "no letters": lambda c: c.search_images("夜 🙂", limit=7),
    "a lot together": lambda c: c.search_images(
        "castle", negative="night", image=UPLOAD, filter={"steps": {"gte": 30}}, mode="hybrid", group_by="prompt",
        include="vector", limit=3,
    ),
}  # fmt: skip

ABOUT: dict[str, Callable[[Searcher | Client, str, str], AnyPage]] = {
    "similar images": lambda c, image, _: c.similar_images(image, limit=7),
    "similar images with a text": lambda c, image, _: c.similar_images(image, "castle", negative="night", limit=7),
    "similar images with options": lambda c, image, _: c.similar_images(
        image, terms=[Term(text="castle", weight=0.5)], filter={"style": "ink"}, include="vector", limit=3
    ),
    "similar prompts": lambda c, _, prompt: c.similar_prompts(prompt, limit=7),
    "images of a prompt": lambda c, _, prompt: c.images_of_prompt(prompt, limit=2),
    "images of a prompt, best first": lambda c, _, prompt: c.images_of_prompt(prompt, "castle", sort="seed", limit=2),
    "an id as a term": lambda c, image, prompt: c.search_images(
        terms=[Term(id=image), Term(id=prompt, weight=0.5)], limit=7
    ),
}

WRONG: dict[str, Ask] = {
    "nothing": lambda c: c.search_images(),
    "blank": lambda c: c.search_images("  "),
    "no id": lambda c: c.similar_images("nobody"),
    "no prompt": lambda c: c.images_of_prompt("no?body"),
    "no id as a term": lambda c: c.search_images(terms=[Term(id="nobody")]),
    "field": lambda c: c.search_images("fox", filter={"stepz": 20}),
    "filter": lambda c: c.search_images("fox", filter={"steps": {"about": 20}}),
    "value": lambda c: c.search_images("fox", filter={"steps": "many"}),
    "sort": lambda c: c.search_images("fox", sort="stepz"),
    "two orders": lambda c: c.search_images("fox", sort="seed", diversity=0.5),
    "words": lambda c: c.search_images(image=UPLOAD, mode="keyword"),
    "group of prompts": lambda c: c.search_prompts("fox", group_by="prompt"),
    "via for images": lambda c: c.search_images("fox", via="images"),
    "scores without a query": lambda c: c.search_images(filter={"style": "ink"}, min_score=0.5),
    "cancelled": lambda c: c.search_images("fox", terms=[Term(text="fox", weight=-1.0)]),
    "dimension": lambda c: c.search_images(terms=[Term(vector=(1.0, 2.0))]),
    "no picture": lambda c: c.search_images(image=b"no picture"),
    "cursor": lambda c: c.search_images(cursor="nonsense"),
    "cursor and query": lambda c: c.search_images("fox", cursor="nonsense"),
    "cursor of another kind": lambda c: c.search_images(cursor=c.search_prompts("fox", limit=1).next),
    "cursor of another item": lambda c: c.similar_images(c.search_images(FOX)[0].id, cursor=c.search_images(FOX).next),
    "cursor of another prompt": lambda c: c.images_of_prompt(
        c.search_prompts(FOX)[0].id, cursor=c.search_images("castle", filter={"style": "ink"}, limit=1).next
    ),
    "cursor of no prompt": lambda c: c.images_of_prompt(
        c.search_prompts(FOX)[0].id, cursor=c.search_images("castle", limit=1).next
    ),
}  # fmt: skip

OUT_OF_RANGE: dict[str, Ask] = {  # errors of the service's schema, which have their own words
    "limit": lambda c: c.search_images("fox", limit=0),
    "min_score": lambda c: c.search_images("fox", min_score=2.0),
    "diversity": lambda c: c.search_images("fox", diversity=-1.0),
    "mode": lambda c: c.search_images("fox", mode=cast("Any", "magic")),
    "group_by": lambda c: c.search_images("fox", group_by=cast("Any", "seed")),
    "via": lambda c: c.search_prompts("fox", via=cast("Any", "prompts")),
}


def check_same(answer: Any, other: Any) -> None:
    if isinstance(answer, float) or isinstance(other, float):
        assert answer == pytest.approx(other, abs=TOLERANCE)
    elif isinstance(answer, dict):
        assert answer.keys() == other.keys()
        for name in answer:
            check_same(answer[name], other[name])
    elif isinstance(answer, list | tuple):
        assert len(answer) == len(other)
        for of_one, of_other in zip(answer, other, strict=True):
            check_same(of_one, of_other)
    else:
        assert answer == other


def comparable(page: AnyPage) -> dict[str, Any]:
    """Return what must be the same: all except times, the places of files, and the bits of a cursor's vector."""
    answer = page.to_dict()
    del answer["took_ms"]
    answer["next"] = answer["next"] is not None
    if "explain" in answer:
        answer["explain"] = sorted(answer["explain"])
    for result in answer["results"]:
        for image in [result, *result.get("images", ())]:
            if "image" in image:
                del image["image"]["file"], image["image"]["thumbnail"]
    return answer


def check_pages(here: Searcher, there: Client, ask: Ask) -> None:
    """Assert that the first page and the next are the same."""
    local, other = ask(here), ask(there)
    check_same(comparable(local), comparable(other))
    if local.next is not None:
        following, remote = here.next_page(cast("Any", local)), there.next_page(cast("Any", other))
        assert following is not None
        assert remote is not None
        check_same(comparable(following), comparable(remote))
        assert {result.id for result in local}.isdisjoint(result.id for result in following)


@pytest.mark.parametrize("ask", SEARCHES.values(), ids=SEARCHES)
def test_searches_return_the_same(ask: Ask, searcher: Searcher, remote: Client) -> None:
    check_pages(searcher, remote, ask)


@pytest.mark.parametrize("ask", ABOUT.values(), ids=ABOUT)
def test_searches_of_an_item_return_the_same(
    ask: Callable[[Searcher | Client, str, str], AnyPage], searcher: Searcher, remote: Client, image: str, prompt: str
) -> None:
    check_pages(searcher, remote, lambda c: ask(c, image, prompt))


@pytest.mark.parametrize("ask", WRONG.values(), ids=WRONG)
def test_errors_are_the_same(ask: Ask, searcher: Searcher, remote: Client) -> None:
    with pytest.raises(PromptSearchError) as here:
        ask(searcher)
    with pytest.raises(type(here.value)) as there:
        ask(remote)
    assert there.value.slug == here.value.slug
    if "cursor continues" not in str(here.value):  # where to go on with it: an address, or a method
        assert str(there.value) == str(here.value)


@pytest.mark.parametrize("ask", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_values_out_of_range_are_errors(ask: Ask, searcher: Searcher, remote: Client) -> None:
    for collection in (searcher, remote):
        with pytest.raises(promptsearch.errors.ParameterError):
            ask(collection)


def test_batch_has_the_answers_of_single_searches(searcher: Searcher, remote: Client) -> None:
    queries: list[Any] = [
        {"target": "images", "q": "fox", "limit": 3},
        {"target": "prompts", "image": UPLOAD, "limit": 2, "include": "vector"},
        {"target": "images", "q": "fox", "filter": {"stepz": 1}},
        {"target": "images"},
        {"target": "images", "image": b"no picture"},
        {"target": "images", "image": UPLOAD, "negative": "fox"},
        {"target": "images", "q": LONG, "negative": "fox", "limit": 1},
    ]
    here, there = searcher.batch(queries), remote.batch(queries)
    for answer, other in zip(here, there, strict=True):
        if isinstance(answer, PromptSearchError):
            assert type(other) is type(answer)
            assert str(other) == str(answer)
        else:
            assert not isinstance(other, PromptSearchError)
            check_same(comparable(answer), comparable(other))
    wrong = [isinstance(answer, PromptSearchError) for answer in here]
    assert wrong == [False, False, True, True, True, False, False]
    nothing: list[Any] = [{"q": "fox"}, {"target": "pictures", "q": "fox"}]
    for collection in (searcher, remote):
        for query in nothing:
            with pytest.raises(promptsearch.errors.ParameterError, match="target must be images or prompts"):
                collection.batch([queries[0], query])


def test_a_batch_is_encoded_together(searcher: Searcher) -> None:
    pictures = [as_bytes(picture(number)) for number in range(5)]
    with watched(Encoders.encode_pixels) as calls:
        searcher.batch([{"target": "images", "image": picture} for picture in [*pictures, pictures[0]]])
        searcher.embed_images(pictures)
    assert [len(call["pixels"]) for call in calls] == [5, 5]


def test_pages_together_are_the_whole_ranking(searcher: Searcher, client: Client) -> None:
    for collection in (searcher, client):
        whole = collection.search_images("fox", limit=200)
        pages = list(collection.pages(collection.search_images("fox", limit=7)))
        assert [len(page) for page in pages] == [7] * 8 + [4]
        assert [result.id for page in pages for result in page] == [result.id for result in whole]


def test_items_and_their_files(searcher: Searcher, remote: Client, image: str, prompt: str) -> None:
    local, other = searcher.image(image), remote.image(image)
    assert (local.id, local.prompt, local.settings, local.extra) == (
        other.id,
        other.prompt,
        other.settings,
        other.extra,
    )
    assert searcher.prompt(prompt).text == remote.prompt(prompt).text == FOX
    assert [result.id for result in searcher.prompt(prompt).images] == [
        result.id for result in remote.prompt(prompt).images
    ]
    assert searcher.thumbnail(image) == remote.thumbnail(image)
    assert searcher.original(image) == remote.original(image)


def test_fields_are_the_same(searcher: Searcher, remote: Client) -> None:
    assert searcher.fields() == remote.fields()


def test_embeddings_are_the_same(searcher: Searcher, remote: Client) -> None:
    texts, images = ["fox", LONG, "fox"], [UPLOAD, picture(3)]
    for local, other in (
        (searcher.embed_texts(texts), remote.embed_texts(texts)),
        (searcher.embed_images(images), remote.embed_images(images)),
    ):
        assert (local.model, local.identity, local.notes) == (other.model, other.identity, other.notes)
        assert other.vectors.dtype == np.float32
        np.testing.assert_allclose(local.vectors, other.vectors, atol=TOLERANCE)
    for collection in (searcher, remote):
        with pytest.raises(promptsearch.errors.EmptyQuery):
            collection.embed_texts([])
