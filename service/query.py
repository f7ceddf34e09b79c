"""What is asked: text, picture or cursor, out of a URL, a form or a JSON body."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi import Query as Parameter
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from promptsearch.errors import EmptyQuery, ParameterError, PictureError, QueryError
from service.problems import describe
from service.schemas import DEFAULT_LIMIT, MAX_LIMIT, MAX_QUERY, JsonQuery

FIELDS = tuple(JsonQuery.model_fields)


@dataclass(frozen=True)
class Query:
    """A question. At least one of `text`, `picture` and `cursor` is there; a cursor stands for itself alone."""

    text: str | None
    picture: bytes | None
    cursor: str | None
    collection: str | None
    limit: int

    def __post_init__(self) -> None:
        """Raises EmptyQuery or ParameterError."""
        if self.cursor is not None and (self.text is not None or self.picture is not None):
            raise ParameterError("a cursor carries its query: send it without q and image")
        if self.cursor is None and self.text is None and self.picture is None:
            raise EmptyQuery("nothing is asked: send a text as `q`, a picture as `image`, or both")


LimitParameter = Annotated[int, Parameter(ge=1, le=MAX_LIMIT, description="results on a page")]
CollectionParameter = Annotated[
    str | None, Parameter(description="needed where several are served and none is the default")
]
CursorParameter = Annotated[str | None, Parameter(description="`next` of an answer, instead of a query")]


# `async`, though it awaits nothing: FastAPI would send a plain function through a thread pool of its own.
async def from_url(
    q: Annotated[str | None, Parameter(max_length=MAX_QUERY, description="what the picture or prompt means")] = None,
    collection: CollectionParameter = None,
    limit: LimitParameter = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
) -> Query:
    return Query(_text(q), None, cursor, collection, limit)


async def from_body(request: Request) -> Query:
    """A multipart or URL-encoded form, or JSON. Options in the URL are refused rather than ignored."""
    if request.query_params:
        raise ParameterError("a POST takes its parameters from the body, not from the URL")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form(max_files=2, max_fields=len(FIELDS) + 2) as form:
            fields, picture = await _read_form(form)
            return _checked(fields, picture)
    if kind == "application/json":
        fields = _read_json(await request.body())
        return _checked(fields, None)
    raise ParameterError(
        f"the content type {kind!r} is not known: send multipart/form-data (curl -F image=@cat.png) or application/json"
    )


UrlQuery = Annotated[Query, Depends(from_url)]
BodyQuery = Annotated[Query, Depends(from_body)]

# What `from_body` takes, for the OpenAPI document: it reads the body itself, so that both kinds can be answered.
BODY_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        **{name: {"type": "string"} for name in ("q", "collection", "cursor")},
                        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                        "image": {"type": "string", "format": "binary"},
                    },
                }
            },
            "application/json": {"schema": JsonQuery.model_json_schema()},
        },
    }
}


async def _read_form(form: FormData) -> tuple[dict[str, str], bytes | None]:
    fields: dict[str, str] = {}
    picture: bytes | None = None
    for name, value in form.multi_items():  # a browser also sends the fields that nobody filled in: they are left out
        if name in fields or (name == "image" and picture is not None):
            raise ParameterError(f"{name} was sent twice")
        if isinstance(value, UploadFile):
            if name != "image":
                raise ParameterError(f"a file was sent as {name!r}: a picture belongs into the field `image`")
            content = await value.read()
            if not content and not value.filename:
                continue
            if not content:
                raise PictureError("the uploaded file is empty")
            picture = content
        elif value:
            fields[name] = value
    if "image" in fields:
        raise ParameterError("image was sent as text, not as a file: with curl, write -F image=@FILE with the @")
    return fields, picture


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except RecursionError:
        raise ParameterError("the body is nested too deeply: parameters are texts and numbers") from None
    except ValueError as error:
        raise ParameterError(f"the body is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ParameterError('the body must be a JSON object, such as {"q": "happy dog"}')
    return data


def _checked(fields: dict[str, Any], picture: bytes | None) -> Query:
    try:
        query = JsonQuery.model_validate(fields)
    except ValidationError as error:
        raise ParameterError(f"{describe(error.errors())} (parameters are {', '.join(FIELDS)})") from None
    if query.image is not None:
        picture = _decode(query.image)
    return Query(_text(query.q), picture, query.cursor, query.collection, query.limit)


def _decode(image: str) -> bytes:
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        picture = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise QueryError("image is no base64; send a file as multipart/form-data instead") from None
    if not picture:
        raise PictureError("image is empty")
    return picture


def _text(value: str | None) -> str | None:
    """None for what has nothing to search for."""
    return value if value and value.strip() else None
