"""The parameters of a search beside its text, over HTTP, alike in a URL, a form and JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.search.collection import Collection
from promptsearch.search.options import combine
from promptsearch.search.terms import NEGATIVE
from promptsearch.storage.manifest import Kind
from tests.service.support.reference import exact, item_ids, stored
from tests.service.support.serving import Service
from tests.service.support.shapes import check_problem
from tests.support.drawing import as_bytes, picture
from tests.support.vectors import Vectors

UPLOAD = as_bytes(picture(7, 120, 80))
Ask = Callable[..., dict[str, Any]]


def by_url(url: str, **parameters: Any) -> dict[str, Any]:
    written = {
        name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in parameters.items()
    }
    return answer(httpx.get(url, params=written))


def by_form(url: str, **parameters: Any) -> dict[str, Any]:
    written = {
        name: json.dumps(value) if isinstance(value, list | dict) else str(value) for name, value in parameters.items()
    }
    return answer(httpx.post(url, data=written))


def by_json(url: str, **parameters: Any) -> dict[str, Any]:
    return answer(httpx.post(url, json=parameters))


def answer(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.fixture(params=[by_url, by_form, by_json], ids=["URL", "form", "JSON"])
def ask(request: pytest.FixtureRequest) -> Ask:
    way: Ask = request.param
    return way


def ids(body: dict[str, Any]) -> list[str]:
    return [result["id"] for result in body["results"]]


def vector_of(encoders: Encoders, text: str) -> Vectors:
    vector: Vectors = encoders.encode_texts([text])[0]
    return vector


def test_terms_have_weights(ask: Ask, url: str, kind: Kind, tiny: Collection, encoders: Encoders) -> None:
    own, vector = item_ids(tiny, kind)[0], [0.5] * 32
    terms = [{"text": "snow", "weight": 0.7}, {"id": own, "weight": 2}, {"vector": vector, "weight": -0.3}]
    body = ask(url, q="a fox", negative="night", terms=terms, limit=20)
    vectors = [vector_of(encoders, "a fox"), vector_of(encoders, "snow"), unit(stored(tiny, kind)[0]),
               unit(np.full(32, 0.5, dtype=np.float32)), vector_of(encoders, "night")]  # fmt: skip
    expected, scores = exact(tiny, kind, combine(vectors, [1, 0.7, 2, -0.3, NEGATIVE]))
    scored = [(id, score) for id, score in zip(expected, scores, strict=True) if id != own][:20]
    assert ids(body) == [id for id, _ in scored]
    np.testing.assert_allclose(
        [result["score"] for result in body["results"]], [score for _, score in scored], atol=1e-3
    )


def test_several_pictures_are_terms(url: str, kind: Kind, tiny: Collection, encoders: Encoders) -> None:
    pictures = [picture(number, 90, 60) for number in (1, 2)]
    files = [("image", as_bytes(drawn)) for drawn in pictures]
    body = answer(httpx.post(url, files=files, data={"q": "snow"}))
    coded = [{"image": base64.b64encode(content).decode()} for _, content in files]
    assert ids(body) == ids(by_json(url, q="snow", terms=coded))
    vectors = [vector_of(encoders, "snow"), *encoders.encode_images(pictures)]
    assert ids(body) == exact(tiny, kind, combine(vectors, [1, 1, 1]))[0][:20]


def test_a_filter_in_its_three_ways(url: str, kind: Kind, tiny: Collection) -> None:
    tree = {"prompt": {"exists": True}, "width": {"gte": 1, "lte": 64}}
    expected = by_json(url, q="fox", filter=tree)
    assert 0 < len(expected["results"]) < len(by_json(url, q="fox", limit=200)["results"])
    conditions = {"filter.prompt.exists": "true", "filter.width.gte": 1, "filter.width.lte": 64}
    for body in (
        by_url(url, q="fox", filter=tree),
        by_form(url, q="fox", filter=tree),
        by_url(url, q="fox", **conditions),
        by_form(url, q="fox", **conditions),
        by_json(url, q="fox", filter={"prompt": "a red fox", "width": {"in": [64, 8]}}),
        by_url(url, q="fox", **{"filter.prompt": "a red fox", "filter.width.in": "64,8"}),
    ):
        assert ids(body) == ids(expected)


def test_a_filter_alone_is_browsed(ask: Ask, url: str, kind: Kind) -> None:
    first = ask(url, filter={"width": {"gte": 1}}, sort="-width", limit=1)
    rest = by_json(url, cursor=first["next"]) if first["next"] else {"results": []}
    results = [*first["results"], *rest["results"]]
    assert {result["score"] for result in results} == {None}
    if kind == "images":
        assert [result["image"]["width"] for result in results] == [300, 64, 40]
    else:
        assert [result["text"] for result in results] == ["a red fox"]


def test_options_travel_with_the_cursor(ask: Ask, url: str, kind: Kind) -> None:
    parameters = {"q": "fox", "negative": "night", "min_score": -0.9}
    if kind == "images":
        parameters["filter"] = {"width": {"gte": 1}}
    whole = ids(ask(url, **parameters, limit=9))
    first = ask(url, **parameters, limit=1)
    second = by_json(url, cursor=first["next"], limit=8)
    assert len(whole) > 1
    assert ids(first) + ids(second) == whole
    check_problem(httpx.get(url, params={"cursor": first["next"], "min_score": 0.5}), 400, "bad-parameter")


def test_vectors_are_included_on_request(ask: Ask, url: str, kind: Kind, tiny: Collection) -> None:
    body = ask(url, q="fox", include="vector", limit=2)
    by_id = dict(zip(item_ids(tiny, kind), unit(stored(tiny, kind)), strict=True))
    for result in body["results"]:
        np.testing.assert_allclose(result["vector"], by_id[result["id"]], atol=1e-6)
    page = by_json(url, cursor=body["next"], include="vector", limit=1)
    assert len(page["results"][0]["vector"]) == 32


def test_stages_are_explained_on_request(ask: Ask, url: str, kind: Kind) -> None:
    body = ask(url, q="explained", explain="true" if ask is not by_json else True)
    assert set(body["explain"]) == {"encode", "search", "re-score", "store"}
    assert all(0 <= took <= body["took_ms"] for took in body["explain"].values())
    filtered = by_json(url, q="explained", mode="hybrid", filter={"width": 64}, explain=True)
    assert {"filter", "keyword"} <= set(filtered["explain"])


def test_a_text_that_is_cut_is_noted(ask: Ask, url: str, kind: Kind) -> None:
    assert ask(url, q="fox " * 20)["notes"] == []
    note = f"the model reads 77 tokens at most: what comes after them in '{'fox ' * 10}…' was cut off"
    for _ in range(2):  # computed, and kept
        assert ask(url, q="fox " * 90)["notes"] == [note]


def test_groups_and_duplicates_are_counted(server: Service) -> None:
    grouped = by_url(f"{server.url}/search/images", q="fox", group_by="prompt", limit=200)
    prompts = [result["prompt"]["id"] for result in grouped["results"] if result["prompt"]]
    assert len(set(prompts)) == len(prompts)
    assert any(result["more"] for result in grouped["results"])
    folded = by_url(f"{server.url}/search/images", q="fox", deduplicate="true", limit=200)
    plain = by_url(f"{server.url}/search/images", q="fox", limit=200)
    assert sum(1 + result["duplicates"] for result in folded["results"]) == len(plain["results"])


def test_similar_takes_the_options_of_a_search(server: Service, tiny: Collection) -> None:
    id = item_ids(tiny, "images")[0]
    path = f"{server.url}/images/{id}/similar"
    assert ids(by_url(path, limit=5)) == ids(by_json(f"{server.url}/search/images", terms=[{"id": id}], limit=5))
    assert ids(by_url(path, q="snow", limit=5)) == ids(
        by_json(f"{server.url}/search/images", q="snow", terms=[{"id": id}], limit=5)
    )
    check_problem(httpx.get(path, params={"mode": "best"}), 400, "bad-parameter")
    check_problem(httpx.get(f"{server.url}/images/{'0' * 20}/similar"), 404, "unknown-id")


def test_the_images_of_a_prompt(server: Service, tiny: Collection) -> None:
    prompt = next(iter(tiny.items.prompts([0]).values()))
    of = [image.id for image in tiny.items.images_of([prompt.row], 100)[prompt.row]]
    body = by_url(f"{server.url}/prompts/{prompt.id}/images", limit=200)
    assert set(ids(body)) <= set(of)
    assert all(result["prompt"]["id"] == prompt.id for result in body["results"])
    assert body["results"]
    ranked = by_url(f"{server.url}/prompts/{prompt.id}/images", q="fox", limit=200)
    assert set(ids(ranked)) == set(ids(body))
    scores = [result["score"] for result in ranked["results"]]
    assert scores == sorted(scores, reverse=True)
    check_problem(httpx.get(f"{server.url}/prompts/{'0' * 20}/images"), 404, "unknown-id")


def test_many_queries_at_once(server: Service) -> None:
    queries = [
        {"target": "images", "q": "fox"},
        {"target": "prompts", "q": "snow", "limit": 2},
        {"target": "images"},
        {"target": "images", "q": "x", "limit": 2, "filter": {"stesp": 1}},
        {"target": "prompts", "image": base64.b64encode(UPLOAD).decode()},
    ]
    results = answer(httpx.post(f"{server.url}/search/batch", json={"queries": queries}))["results"]
    assert ids(results[0]) == ids(by_json(f"{server.url}/search/images", q="fox"))
    assert ids(results[1]) == ids(by_json(f"{server.url}/search/prompts", q="snow", limit=2))
    assert results[2]["type"] == "urn:prompt-search:empty-query"
    assert results[3]["detail"].startswith("there is no field 'stesp'")
    assert ids(results[4]) == ids(answer(httpx.post(f"{server.url}/search/prompts", files={"image": UPLOAD})))
    wrongs: list[dict[str, Any]] = [
        {"queries": []},
        {"queries": [{"q": "x"}]},
        {"queries": [queries[0]] * 65},
        {},
        {"queries": 3},
    ]
    for wrong in wrongs:
        check_problem(httpx.post(f"{server.url}/search/batch", json=wrong), 400, "bad-parameter")


def test_vectors_alone(server: Service, encoders: Encoders) -> None:
    texts = ["a fox", "fox " * 90]
    body = answer(
        httpx.post(
            f"{server.url}/embed",
            json={"texts": texts, "images": [base64.b64encode(UPLOAD).decode()], "collection": "tiny"},
        )
    )
    assert body["model"] == "tiny"
    assert len(body["notes"]) == 1
    np.testing.assert_allclose(body["texts"], encoders.encode_texts(texts), atol=1e-5)
    np.testing.assert_allclose(body["images"], encoders.encode_images([picture(7, 120, 80)]), atol=1e-5)
    check_problem(httpx.post(f"{server.url}/embed", json={}), 400, "empty-query")
    check_problem(httpx.post(f"{server.url}/embed", json={"texts": [" "]}), 400, "bad-parameter")
    check_problem(httpx.post(f"{server.url}/embed", json={"images": ["?"]}), 400, "bad-query")
    check_problem(httpx.post(f"{server.url}/embed", json={"texts": ["x"] * 65}), 400, "bad-parameter")


def test_fields_are_listed(server: Service, tiny: Collection) -> None:
    body = answer(server.get("/collections/tiny/fields"))
    assert body["version"] == tiny.version
    assert [field["name"] for field in body["fields"]] == [field.name for field in tiny.fields]
    width = next(field for field in body["fields"] if field["name"] == "width")
    assert width["type"] == "integer"
    assert width["least"] <= width["greatest"]
    check_problem(server.get("/collections/other/fields"), 404, "unknown-collection")
