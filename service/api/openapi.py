"""The OpenAPI document: what FastAPI generates, with the problems that each route answers with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from ..http.problems import Problem, response
from ..responses.schemas import JsonQuery, JsonTerm


def install(app: FastAPI) -> None:
    """Extend `app.openapi`, once every route is added."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _declared(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _declared(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the problems of each route, which follow from what it takes."""
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for model in (JsonQuery, JsonTerm):  # which `service/api/query.py` reads itself
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's, which `_of_validation` replaces
        schemas.pop(name, None)
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation["responses"].pop("422", None)
        for status in _possible(operation):
            operation["responses"][str(int(status))] = response(status)
    return document


def _possible(operation: Mapping[str, Any]) -> Iterator[HTTPStatus]:
    takes = {parameter["name"] for parameter in operation.get("parameters", ())}
    if "requestBody" in operation:
        takes |= {"body", "collection", "cursor"}
    if "collection" in takes:
        yield HTTPStatus.BAD_REQUEST
        yield HTTPStatus.SERVICE_UNAVAILABLE
    if takes:
        yield HTTPStatus.NOT_FOUND
    if "cursor" in takes:
        yield HTTPStatus.CONFLICT
        yield HTTPStatus.GONE
    if "body" in takes:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
