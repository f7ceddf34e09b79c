"""Served and refused collections are listed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from promptsearch.encoding.encoders import Encoders
from promptsearch.search.collection import Collection
from tests.service.support import several
from tests.service.support.serving import Service
from tests.service.support.shapes import check_problem
from tests.support import source

SUMMARY = ["name", "version", "created", "counts", "model", "images", "prompts"]


def test_a_single_collection_is_the_default(server: Service, tiny: Collection, encoders: Encoders) -> None:
    answer = server.get("/collections").json()
    assert list(answer) == ["default", "collections", "refused", "outdated"]
    assert (answer["default"], answer["refused"], answer["outdated"]) == ("tiny", {}, {})
    [summary] = answer["collections"]
    assert list(summary) == SUMMARY
    assert summary == server.get("/collections/tiny").json()
    assert (summary["name"], summary["version"]) == ("tiny", tiny.version)
    assert summary["counts"] == source.COUNTS
    bundle = encoders.bundle
    assert summary["model"] == {
        "name": "tiny",
        "identity": bundle.identity,
        "embedding_dim": 32,
        "precision": "fp32",
        "fidelity": dict(bundle.precisions["fp32"].fidelity),
    }
    for kind, count in (("images", len(source.PICTURES)), ("prompts", len(source.PROMPTS))):
        assert set(summary[kind]) == {"vectors", "key", "exact", "recall_at_10"}
        assert (summary[kind]["vectors"], summary[kind]["exact"]) == (count, True)


def test_several_collections_and_why_others_are_refused(several_server: Service) -> None:
    answer = several_server.get("/collections").json()
    assert answer["default"] is None
    assert {summary["name"] for summary in answer["collections"]} == several.SERVED
    assert set(answer["refused"]) == set(several.REFUSED)
    log = [line["message"] for line in several_server.errors()]
    for name, reason in several.REFUSED.items():
        assert reason in answer["refused"][name]
        assert f"collection {name} is not served: {answer['refused'][name]}" in log


def test_a_kind_without_vectors_is_null(several_server: Service) -> None:
    words = several_server.get("/collections/words").json()
    assert (words["images"], words["prompts"]["vectors"]) == (None, 5)


@pytest.mark.parametrize("name", several.REFUSED)
def test_a_refused_collection_is_an_error_with_the_reason(several_server: Service, name: str) -> None:
    url = several_server.url
    for response in (
        httpx.get(f"{url}/collections/{name}"),
        httpx.get(f"{url}/search/images", params={"q": "fox", "collection": name}),
        httpx.post(f"{url}/search/prompts", json={"q": "fox", "collection": name}),
        httpx.get(f"{url}/images/0", params={"collection": name}),
    ):
        detail = check_problem(response, 404, "unknown-collection")
        assert detail.startswith(f"collection {name} is not served: ")
        assert several.REFUSED[name] in detail


@pytest.mark.parametrize("name", ["other", "building", "..", "%00", "%ff"])
def test_an_unknown_collection_is_an_error_with_the_known_ones(server: Service, name: str) -> None:
    response = server.raw(f"/collections/{name}")
    assert check_problem(response, 404, "unknown-collection").endswith(": expected one of tiny")


@pytest.mark.parametrize(
    ("path", "answer"), [("/healthz", {"status": "ok"}), ("/readyz", {"status": "ready", "problems": {}})]
)
def test_health_and_readiness_return_200(server: Service, path: str, answer: dict[str, Any]) -> None:
    response = server.get(path)
    assert (response.status_code, response.json()) == (200, answer)


def test_a_refused_collection_degrades_the_others(several_server: Service) -> None:
    response = several_server.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["problems"] == several_server.get("/collections").json()["refused"]
