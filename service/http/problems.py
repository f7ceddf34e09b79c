"""Errors as problem documents (RFC 9457): the only place that maps the error tree to HTTP.

`service/access/` raises the errors of clients that ask too much or wait too long, `Collection.page` that of a cursor
whose version is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from promptsearch import errors
from promptsearch.errors import excerpt

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

MAX_FINDINGS = 10  # that one problem names
MAX_FINDING = 200  # characters of each
_MAX_DETAIL = (MAX_FINDINGS + 2) * MAX_FINDING  # whatever a message quotes

# The first class that an error is an instance of decides.
_STATUS: tuple[tuple[type[errors.PromptSearchError], HTTPStatus], ...] = (
    (errors.PictureTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.RequestTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.PictureError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (errors.QueryError, HTTPStatus.BAD_REQUEST),
    (errors.CursorGone, HTTPStatus.GONE),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.NoVectors, HTTPStatus.CONFLICT),
    (errors.KeyNeeded, HTTPStatus.UNAUTHORIZED),
    (errors.RateExceeded, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.ModelFault, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.DamagedCollection, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.Overloaded, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.NotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.VersionPending, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(BaseModel):
    """The body of every error response (RFC 9457), as application/problem+json."""

    type: str = Field(description="Stable: `urn:prompt-search:` and the name of the problem.")
    title: str
    status: int
    detail: str = Field(description="What is wrong, and what is expected.")


def install(app: FastAPI) -> None:
    """Answer every error with a problem document, except bugs: service/ops/request_log.py answers those.

    The handlers are `async` without awaiting anything: Starlette would run plain functions in threads, which the
    refusals of a busy service would have to wait for.
    """
    app.add_exception_handler(errors.PromptSearchError, _handle_error)
    app.add_exception_handler(RequestValidationError, _handle_validation)
    app.add_exception_handler(HTTPException, _handle_http)
    app.add_exception_handler(ClientDisconnect, _handle_disconnect)


def response(status: HTTPStatus) -> dict[str, Any]:
    """Return the OpenAPI description of a problem with this status."""
    return {
        "description": status.phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def problem(status: int, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem that is not one of `promptsearch.errors`."""
    return JSONResponse(_document(status, slug, detail), status, headers, MEDIA_TYPE)


def problem_of(error: errors.PromptSearchError) -> dict[str, Any]:
    """Return the problem document of an error of `promptsearch.errors`."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    return _document(status, error.slug, str(error))


def problem_response(error: errors.PromptSearchError) -> JSONResponse:
    """Return the response for an error of `promptsearch.errors`."""
    document = problem_of(error)
    return JSONResponse(document, document["status"], _headers(error), MEDIA_TYPE)


def describe(validation_errors: Sequence[Any]) -> str:
    """Return Pydantic's errors as one line: each parameter, and what is wrong with it. Values are not repeated."""
    findings = [_finding(error) for error in validation_errors[:MAX_FINDINGS]]
    if len(validation_errors) > MAX_FINDINGS:
        findings.append(f"and {len(validation_errors) - MAX_FINDINGS} more")
    return "; ".join(findings)


def findings_of(error: ValidationError) -> str:
    """Return what is wrong with a request's values, as `describe`."""
    return describe(error.errors(include_url=False, include_context=False, include_input=False))


def _finding(error: Any) -> str:
    name = ".".join(excerpt(str(part)) for part in error["loc"]) or "request"
    message = error["msg"].removeprefix("Value error, ")
    finding = f"{name}: {message[:1].lower()}{message[1:]}"
    return finding if len(finding) <= MAX_FINDING else f"{finding[: MAX_FINDING - 1]}…"


def internal_error(request: Request, error: Exception, request_id: str) -> JSONResponse:
    """Log a bug with its traceback, and return the response to its request, which says nothing else than its id."""
    log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", f"internal error: see request {request_id} in the log")


def _document(status: int, slug: str, detail: str) -> dict[str, Any]:
    if len(detail) > _MAX_DETAIL:
        detail = f"{detail[:_MAX_DETAIL]}…"
    return {"type": errors.PROBLEM + slug, "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}


def _headers(error: errors.PromptSearchError) -> dict[str, str]:
    if isinstance(error, errors.KeyNeeded):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.RateExceeded | errors.Overloaded | errors.VersionPending):
        return {"Retry-After": str(error.retry_after)}
    return {}


async def _handle_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.PromptSearchError)
    response = problem_response(error)
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s failed: %s", request.method, request.url.path, error)
    return response


async def _handle_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    without_origin = [{**each, "loc": each["loc"][1:]} for each in error.errors()]  # "query", "path" or "body"
    return problem(HTTPStatus.BAD_REQUEST, errors.ParameterError.slug, describe(without_origin))


async def _handle_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase, detail = HTTPStatus(error.status_code).phrase, str(error.detail)
    if detail == phrase:  # the router's own
        detail = f"{request.method} {excerpt(request.url.path, MAX_FINDING)} does not exist; see /docs"
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed_methods(request)
    return problem(error.status_code, phrase.lower().replace(" ", "-"), detail, headers)


def _allowed_methods(request: Request) -> str:
    """Return every method of a path; the router knows only those of the first route that matches."""
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(request.scope["path"]):
            methods |= route.methods
    if "GET" in methods:
        methods.add("HEAD")  # see service/http/normalize_path.py
    return ", ".join(sorted(methods))


async def _handle_disconnect(_request: Request, _error: Exception) -> JSONResponse:
    """Return a response that nobody reads: a client that disconnects while it sends must not be logged as a bug."""
    return problem(HTTPStatus.BAD_REQUEST, "bad-request", "the connection was closed before the request was complete")
