"""A URL, a form or a JSON body as a query: all three are read into `JsonQuery`, which declares every parameter."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi import Query as Parameter
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from promptsearch.errors import ParameterError, PictureError, QueryError, excerpt
from promptsearch.filtering.filters import Filter, condition
from promptsearch.search.query import Query, blank_to_none, build_terms
from promptsearch.search.terms import MAX_TERMS, Term

from ..http.json_body import parse_json, read_body
from ..http.problems import findings_of
from .json_models import media_type_of
from .json_query import JsonQuery, JsonTerm, SearchOptions

_FILTER = "filter."  # before a field's name, in a URL or form
_NESTED = ("terms", "filter")  # JSON as text, in a URL or form
_MAX_FORM_FIELDS = 200
_MAX_NESTED = 2**20  # bytes of JSON in a form's field, of which Starlette reads no more; the head of a URL has less
_BASE64_PIECE = 2**22  # characters that are decoded without releasing the GIL: 10 ms

CollectionParameter = Annotated[str | None, Parameter(description=JsonQuery.model_fields["collection"].description)]


def parse_url(request: Request) -> Query:
    """Return the query of a URL's parameters; raises EmptyQuery and the errors of queries."""
    return parse_url_options(request).require_terms()


def parse_url_options(request: Request) -> Query:
    """Return the query of a URL whose path already names an item; raises the errors of queries."""
    fields: dict[str, Any] = {}
    conditions = []
    for name, value in request.query_params.multi_items():
        if name.startswith(_FILTER):
            conditions.append(_condition(name, value))
        elif name not in _URL_NAMES:
            raise ParameterError(f"unknown parameter {excerpt(name)!r}: expected one of {', '.join(_URL_NAMES)}")
        elif value or name not in _NESTED:
            fields[name] = value
    try:
        return to_query(JsonQuery.model_validate(_parse_nested(fields)), conditions)
    except ValidationError as error:
        raise ParameterError(findings_of(error)) from None


async def parse_body(request: Request) -> Query:
    """Return the query of a multipart or URL-encoded form, or of JSON; raises EmptyQuery and the errors of queries.

    Parameters in the URL are refused rather than ignored.
    """
    if request.query_params:
        raise ParameterError("a POST takes its parameters from the body, not from the URL")
    media_type = media_type_of(request)
    if media_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form(max_files=MAX_TERMS + 1, max_fields=_MAX_FORM_FIELDS) as form:
            fields, conditions, pictures = await _read_form(form)
            return to_query(_validate(fields), conditions, pictures).require_terms()
    if media_type == "application/json":
        return await read_body(
            request,
            request.app.state.max_json_bytes,
            lambda fields: to_query(_validate(fields, strict=True)).require_terms(),
        )
    raise ParameterError(
        f"content type {excerpt(media_type)!r} is not supported: send multipart/form-data (curl -F image=@cat.png) or "
        "application/json"
    )


BodyQuery = Annotated[Query, Depends(parse_body)]


def to_query(body: JsonQuery, conditions: Sequence[dict[str, Any]] = (), pictures: Sequence[bytes] = ()) -> Query:
    """Return the query of what was read, further conditions and uploaded files; raises the errors of queries."""
    uploads = [*pictures, *([decode_picture(body.image)] if body.image is not None else [])]
    filters = [*([] if body.filter is None else [body.filter]), *conditions]
    return Query(
        terms=build_terms(body.q, uploads, [_term(term) for term in body.terms], body.negative),
        options=body.options(_all_of(filters)),
        words=blank_to_none(body.q),
        cursor=body.cursor,
        collection=body.collection,
        limit=body.limit,
        include=body.include,
        explain=body.explain,
    )


def decode_picture(image: str) -> bytes:
    """Return the bytes of a picture in base64; raises QueryError."""
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        picture = b"".join(_base64_pieces(image.encode("ascii")))
    except (binascii.Error, ValueError):
        raise QueryError("image is not valid base64; send a file as multipart/form-data instead") from None
    if not picture:
        raise PictureError("image is empty")
    return picture


def _base64_pieces(text: bytes) -> Iterator[bytes]:
    """Yield what the pieces of a text in base64 encode; raises ValueError."""
    for start in range(0, len(text), _BASE64_PIECE):
        piece = text[start : start + _BASE64_PIECE]
        if piece.endswith(b"=") and start + _BASE64_PIECE < len(text):
            raise ValueError("padding before the end")
        yield base64.b64decode(piece, validate=True)


def _all_of(filters: Sequence[dict[str, Any]]) -> Filter | None:
    if not filters:
        return None
    return Filter.parse(filters[0] if len(filters) == 1 else {"and": filters})


def _condition(name: str, value: str) -> dict[str, Any]:
    return condition(name.removeprefix(_FILTER), value)


def _term(term: JsonTerm) -> Term:
    return Term(
        text=term.text,
        picture=None if term.image is None else decode_picture(term.image),
        id=term.id,
        vector=None if term.vector is None else tuple(term.vector),
        weight=term.weight,
    )


async def _read_form(form: FormData) -> tuple[dict[str, Any], list[dict[str, Any]], list[bytes]]:
    """Return the fields of a form, its conditions of a filter and its pictures; raises the errors of queries."""
    fields: dict[str, Any] = {}
    conditions: list[dict[str, Any]] = []
    pictures: list[bytes] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            pictures += await _read_upload(name, value)
        elif name.startswith(_FILTER):
            conditions.append(_condition(name, value))
        elif name in fields:
            raise ParameterError(f"{excerpt(name)} was sent twice")
        elif value:  # a browser also sends the fields that were left empty
            fields[name] = value
    if "image" in fields:
        raise ParameterError("image was sent as text, not as a file: with curl, write -F image=@FILE with the @")
    return _parse_nested(fields), conditions, pictures


async def _read_upload(name: str, upload: UploadFile) -> list[bytes]:
    if name != "image":
        raise ParameterError(f"a file was sent as {excerpt(name)!r}: send a picture in the field `image`")
    content = await upload.read()
    if not content and upload.filename:
        raise PictureError("the uploaded file is empty")
    return [content] if content else []


def _parse_nested(fields: dict[str, Any]) -> dict[str, Any]:
    for name in _NESTED:
        if name in fields:
            try:
                text = fields[name].encode()
            except UnicodeEncodeError:
                raise ParameterError(f"{name} is not valid JSON: it is not Unicode") from None
            fields[name] = parse_json(text, _MAX_NESTED, name)
    return fields


def _validate(fields: dict[str, Any], *, strict: bool = False) -> JsonQuery:
    """Return the query of these fields; raises ParameterError. `strict` accepts numbers only as JSON numbers."""
    try:
        return JsonQuery.model_validate(fields, strict=strict)
    except ValidationError as error:
        raise ParameterError(f"{findings_of(error)} (parameters are {', '.join(_NAMES)})") from None


def _text_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each parameter as a URL or form carries it: nested values are JSON as text."""
    schema = JsonQuery.model_json_schema(ref_template="#/components/schemas/{model}")
    properties: dict[str, dict[str, Any]] = schema["properties"]
    for name in _NESTED:
        properties[name] = {"type": "string", "description": f"JSON as text. {properties[name]['description']}"}
    return properties


def _url_parameters() -> list[dict[str, Any]]:
    parameters = []
    for name, schema in _text_schemas().items():
        if name == "image":
            continue
        if name in _NESTED:
            schema = {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "default": None,
                "title": name.capitalize(),
                "description": schema["description"],
            }
        parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    return parameters


def _form_schema() -> dict[str, Any]:
    pictures = {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MAX_TERMS}
    return {"type": "object", "properties": {**_text_schemas(), "image": pictures}}


_NAMES = [name for name in JsonQuery.model_fields if name not in SearchOptions.model_fields]
_NAMES += SearchOptions.model_fields
_URL_NAMES = [name for name in _NAMES if name != "image"]

# What `parse_url` and `parse_body` read themselves, for the OpenAPI document.
URL_SCHEMA: dict[str, Any] = {"parameters": _url_parameters()}
BODY_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _form_schema()},
            "application/json": {"schema": {"$ref": "#/components/schemas/JsonQuery"}},
        },
    }
}
