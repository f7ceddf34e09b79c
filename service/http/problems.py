"""Errors as problem documents (RFC 9457): the one place where the error tree meets HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from promptsearch import errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# The first class that an error is one of decides.
_STATUS: tuple[tuple[type[errors.PromptSearchError], HTTPStatus], ...] = (
    (errors.PictureTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.PictureError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (errors.QueryError, HTTPStatus.BAD_REQUEST),
    (errors.CursorGone, HTTPStatus.GONE),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.NoVectors, HTTPStatus.CONFLICT),
    (errors.KeyNeeded, HTTPStatus.UNAUTHORIZED),
    (errors.RateExceeded, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.Overloaded, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.NotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.VersionPending, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(BaseModel):
    """What every error is answered with (RFC 9457), as application/problem+json."""

    type: str = Field(description="stable: `urn:prompt-search:` and the name of what went wrong")
    title: str
    status: int
    detail: str = Field(description="what was wrong, and what would be right")


def problem(status: int, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(_content(status, slug, detail), status, headers, MEDIA_TYPE)


def _content(status: int, slug: str, detail: str) -> dict[str, Any]:
    return {"type": errors.PROBLEM + slug, "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}


def install(app: FastAPI) -> None:
    """Answer every error with a problem document, but for bugs: they reach service/ops/request_log.py.

    The handlers are `async`, though they await nothing: Starlette would run plain functions in threads, for which the
    refusals of a busy service would wait.
    """
    app.add_exception_handler(errors.PromptSearchError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(ClientDisconnect, _of_a_departure)


def response(status: HTTPStatus) -> dict[str, Any]:
    """A problem as the OpenAPI document declares it."""
    return {
        "description": status.phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def problem_of(error: errors.PromptSearchError) -> dict[str, Any]:
    """The problem document of an error of ours."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    return _content(status, error.slug, str(error))


def answer(error: errors.PromptSearchError) -> JSONResponse:
    """The answer that tells an error of ours."""
    content = problem_of(error)
    return JSONResponse(content, content["status"], _headers(error), MEDIA_TYPE)


async def _of_ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.PromptSearchError)
    answered = answer(error)
    if answered.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s failed: %s", request.method, request.url.path, error)
    return answered


def _headers(error: errors.PromptSearchError) -> dict[str, str]:
    if isinstance(error, errors.KeyNeeded):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.RateExceeded | errors.Overloaded | errors.VersionPending):
        return {"Retry-After": str(error.retry_after)}
    return {}


async def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [{**one, "loc": one["loc"][1:]} for one in error.errors()]  # the first part is where it stood: "query"
    return problem(HTTPStatus.BAD_REQUEST, errors.ParameterError.slug, describe(found))


def describe(found: object) -> str:
    """Pydantic's findings as one line: which parameter, and what is wrong with it."""
    assert isinstance(found, list | tuple)
    lines = []
    for one in found:
        name = ".".join(str(part) for part in one["loc"]) or "request"
        message = one["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {message[:1].lower()}{message[1:]}")
    return "; ".join(lines)


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase, detail = HTTPStatus(error.status_code).phrase, str(error.detail)
    if detail == phrase:  # the router's own, which knows no more
        detail = f"{request.method} {request.url.path} is not offered; /docs lists what is"
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    return problem(error.status_code, phrase.lower().replace(" ", "-"), detail, headers)


def _allowed(request: Request) -> str:
    """Every method that the address takes; the router knows those of its first route alone."""
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(request.scope["path"]):
            methods |= route.methods
    if "GET" in methods:
        methods.add("HEAD")  # see service/http/normalize_path.py
    return ", ".join(sorted(methods))


async def _of_a_departure(_request: Request, _error: Exception) -> JSONResponse:
    """For no one to read; but a client that hangs up while it sends is no failure of ours, which the log would tell."""
    return problem(HTTPStatus.BAD_REQUEST, "bad-request", "the connection was closed before the request was complete")


def of_a_bug(request: Request, error: Exception) -> JSONResponse:
    log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the service failed on this request; its log says why")
