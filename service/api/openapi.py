"""The OpenAPI document: what FastAPI generates, with the problems of each route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from ..http.problems import Problem, response
from .json_query import Batch, BatchQuery, EmbedQuery, JsonQuery, JsonTerm


def install(app: FastAPI) -> None:
    """Extend `app.openapi`; call it before the document is generated."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _with_problems(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the problems of each route, which follow from its parameters."""
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for model in (JsonQuery, JsonTerm, Batch, BatchQuery, EmbedQuery):  # read within limits, not by FastAPI
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's, replaced by problems
        schemas.pop(name, None)
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation["responses"].pop("422", None)
        for status in _problems_of(operation):
            operation["responses"][str(int(status))] = response(status)
    return document


def _problems_of(operation: Mapping[str, Any]) -> Iterator[HTTPStatus]:
    """Yield the statuses of an operation's problems."""
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    if "requestBody" in operation:
        parameters |= {"body", "collection", "cursor"}
    if "collection" in parameters:
        yield HTTPStatus.BAD_REQUEST
        yield HTTPStatus.SERVICE_UNAVAILABLE
    if parameters:
        yield HTTPStatus.NOT_FOUND
    if "cursor" in parameters:
        yield HTTPStatus.CONFLICT
        yield HTTPStatus.GONE
    if "body" in parameters:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
