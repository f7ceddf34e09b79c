"""Every error is a problem document, and the API's description lists those of each route."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from promptsearch import errors
from service.http import problems
from service.ops.metrics import Metrics
from service.ops.request_log import RequestLog
from tests.service.support.serving import Service
from tests.service.support.shapes import check_problem

STATUSES = {
    errors.EmptyQuery: 400,
    errors.ParameterError: 400,
    errors.Unsupported: 400,
    errors.CursorError: 400,
    errors.QueryError: 400,
    errors.FetchError: 400,
    errors.PictureError: 415,
    errors.PictureTooLarge: 413,
    errors.RequestTooLarge: 413,
    errors.ModelFault: 503,
    errors.DamagedCollection: 503,
    errors.UnknownCollection: 404,
    errors.UnknownItem: 404,
    errors.NoFile: 404,
    errors.NotFound: 404,
    errors.CursorGone: 410,
    errors.KeyNeeded: 401,
    errors.NotReady: 503,
    errors.CollectionError: 500,
    errors.BundleError: 500,
}
SEARCH = {"400", "404", "409", "410", "503"}
DECLARED = {
    ("get", "/search/images"): SEARCH,
    ("post", "/search/images"): {*SEARCH, "413", "415"},
    ("get", "/search/prompts"): SEARCH,
    ("post", "/search/prompts"): {*SEARCH, "413", "415"},
    ("get", "/images/{id}"): {"400", "404", "503"},
    ("get", "/images/{id}/similar"): SEARCH,
    ("get", "/images/{id}/thumbnail"): {"400", "404", "503"},
    ("get", "/images/{id}/file"): {"400", "404", "416", "503"},
    ("get", "/prompts/{id}"): {"400", "404", "503"},
    ("get", "/prompts/{id}/similar"): SEARCH,
    ("get", "/prompts/{id}/images"): SEARCH,
    ("post", "/search/batch"): {*SEARCH, "413", "415"},
    ("post", "/embed"): {*SEARCH, "413", "415"},
    ("post", "/knn-service"): {*SEARCH, "413", "415"},
    ("post", "/metadata"): {*SEARCH, "413", "415"},
    ("get", "/indices-list"): set(),
    ("get", "/config.json"): set(),
    ("get", "/collections/{name}/fields"): {"404"},
    ("get", "/collections"): set(),
    ("get", "/collections/{name}"): {"404"},
    ("get", "/healthz"): set(),
    ("get", "/readyz"): {"503"},
    ("get", "/metrics"): set(),
}


def answer_to(error: Exception) -> httpx.Response:
    """Return the answer of a route that raises `error`."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestLog, metrics=Metrics())

    @app.get("/")
    async def route() -> None:
        raise error

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    return asyncio.run(ask())


@pytest.mark.parametrize("kind", STATUSES)
def test_each_error_of_the_tree_has_its_status(kind: type[errors.PromptSearchError]) -> None:
    assert check_problem(answer_to(kind("what was wrong")), STATUSES[kind], kind.slug) == "what was wrong"


def test_missing_vectors_are_a_conflict() -> None:
    assert check_problem(answer_to(errors.NoVectors("images", "none")), 409, "no-image-index") == "none"
    assert check_problem(answer_to(errors.NoVectors("prompts", "none")), 409, "no-prompt-index") == "none"


def test_rate_exceeded_returns_retry_after() -> None:
    answer = answer_to(errors.RateExceeded("too often", retry_after=7))
    assert check_problem(answer, 429, "rate-exceeded") == "too often"
    assert answer.headers["retry-after"] == "7"


def test_damage_met_while_serving_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    answer_to(errors.CollectionError("items.sqlite cannot be read"))
    logged = [record.getMessage() for record in caplog.records if record.name == "service.http.problems"]
    assert logged == ["GET / failed: items.sqlite cannot be read"]


def test_an_unexpected_error_is_logged_and_not_disclosed(caplog: pytest.LogCaptureFixture) -> None:
    answer = answer_to(ZeroDivisionError("secret"))
    detail = check_problem(answer, 500, "internal")
    assert detail == f"internal error: see request {answer.headers['x-request-id']} in the log"
    [record] = [record for record in caplog.records if record.name == "service.http.problems"]
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "GET / failed")
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize(
    "path", ["/other", "/search", "/search/", "/search/other", "/images", "/images/", "/images/x/y", "/%00", "/../x"]
)
def test_an_unknown_route(server: Service, path: str) -> None:
    detail = check_problem(server.raw(path), 404, "not-found")
    assert detail.startswith("GET /")
    assert detail.endswith(" does not exist; see /docs")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/search/images", "GET, HEAD, POST"),
        ("DELETE", "/search/prompts", "GET, HEAD, POST"),
        ("PATCH", "/images/x", "GET, HEAD"),
        ("POST", "/images/x/similar", "GET, HEAD"),
        ("POST", "/collections", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("OPTIONS", "/docs", "GET, HEAD"),
    ],
)
def test_another_method(server: Service, method: str, path: str, allowed: str) -> None:
    response = httpx.request(method, server.url + path)
    detail = check_problem(response, 405, "method-not-allowed")
    assert detail == f"{method} {path} does not exist; see /docs"
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/nothing", "/session", "/healthz/", "/docs/redoc.standalone.js", "/index.html"])
def test_an_unknown_address_is_unknown_to_every_method(server: Service, method: str, path: str) -> None:
    check_problem(httpx.request(method, server.url + path), 404, "not-found")


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/collections", "/search/images?q=fox"])
def test_head_is_answered_as_get_without_the_body(server: Service, path: str) -> None:
    asked, whole = httpx.head(server.url + path), httpx.get(server.url + path)
    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("content-type", "content-length", "cache-control", "etag"):
        assert name == "content-length" or asked.headers.get(name) == whole.headers.get(name)
    assert "content-length" in asked.headers


def test_head_returns_the_status_of_get(server: Service) -> None:
    assert httpx.head(f"{server.url}/search/images?limit=0").status_code == 400
    assert httpx.head(f"{server.url}/nothing").status_code == 404


def test_slashes_before_an_address_count_once(server: Service) -> None:
    assert server.raw("//search/images?q=fox").status_code == 200
    assert server.raw("///healthz").json() == {"status": "ok"}
    check_problem(server.raw("/search//images?q=fox"), 404, "not-found")


@pytest.fixture(scope="module")
def document(server: Service) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/openapi.json").json()
    return found


def test_the_description_declares_each_routes_problems(document: dict[str, Any]) -> None:
    declared = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            others = {status: answer for status, answer in operation["responses"].items() if status != "200"}
            declared[method, path] = set(others)
            for answer in others.values():
                schema = {"$ref": "#/components/schemas/Problem"}
                assert answer["content"] == {"application/problem+json": {"schema": schema}}
    assert declared == DECLARED


def test_openapi_defines_the_problem_and_every_referenced_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["Problem"]["properties"]) == {"type", "title", "status", "detail"}
    assert set(re.findall(r"#/components/schemas/(\w+)", repr(document))) == set(schemas)


def test_the_error_tree_in_the_docstring_is_correct() -> None:
    """`STATUSES` leaves no error out that a request can meet."""
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    never_met = {"StartError", "BuildError", "SourceError", "ExportError", "ModelMismatch", "ArtefactError"}
    never_met |= {"ServiceError", "NotInstalled", "StoreError", "RetryLater"}  # of the library alone, or a base class
    assert set(drawn) - never_met == {kind.__name__ for kind in STATUSES} | {
        "NoVectors",
        "RateExceeded",
        "Overloaded",
        "VersionPending",  # which tests/service/catalogue/test_replicas.py meets
    }


def test_routes_raise_no_http_exceptions() -> None:
    """No route answers an error by itself."""
    for path in (Path(problems.__file__).parents[1] / "api" / "routes").glob("*.py"):
        assert "HTTPException" not in path.read_text(encoding="utf-8")
