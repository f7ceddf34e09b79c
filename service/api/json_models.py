"""JSON bodies of a known shape, read within the limits of `service/http/json_body.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from promptsearch.errors import ParameterError, excerpt

from ..http.json_body import read_body
from ..http.problems import findings_of

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")


def media_type_of(request: Request) -> str:
    """Return the content type of a request's body, without parameters and in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_json(request: Request) -> None:
    """Raise ParameterError unless the content type is JSON, which pages of other origins cannot send unasked."""
    media_type = media_type_of(request)
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise ParameterError(f"content type {excerpt(media_type)!r} is not supported: send application/json")


async def read_model(request: Request, model: type[Body], build: Callable[[Body], T]) -> T:
    """Return what `build` makes of the request's JSON; in a thread if the body is large.

    Raises ParameterError, RequestTooLarge and what `build` raises.
    """

    def parse(value: dict[str, Any]) -> T:
        try:
            body = model.model_validate(value)
        except ValidationError as error:
            raise ParameterError(findings_of(error)) from None
        return build(body)

    return await read_body(request, request.app.state.max_json_bytes, parse)


def reference(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that a route reads with `read_model`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
