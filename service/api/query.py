"""What is asked: terms, options or a cursor, out of a URL, a form or a JSON body."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi import Query as Parameter
from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from promptsearch.client.results import DEFAULT_LIMIT
from promptsearch.errors import ParameterError, PictureError, QueryError
from promptsearch.filtering.filters import Filter, condition
from promptsearch.search.options import Options
from promptsearch.search.query import Query, add_conditions, blank_to_none, build_terms, normalize_sort
from promptsearch.search.terms import MAX_TERMS, Term

from ..http.problems import describe
from ..responses.schemas import FILTER, MAX_LIMIT, MAX_QUERY, JsonOptions, JsonQuery, JsonTerm

_FILTER = "filter."  # before a field's name, in a URL or form
_MOST_FIELDS = 200  # of a form


LimitParameter = Annotated[int, Parameter(ge=1, le=MAX_LIMIT, description="results on a page")]
CollectionParameter = Annotated[
    str | None, Parameter(description="needed where several are served and none is the default")
]


class UrlParameters(JsonOptions):
    """Conditions of a filter may also be parameters of their own, such as `filter.steps.gte=20`."""

    q: str | None = Field(None, max_length=MAX_QUERY, description="what the picture or prompt means")
    negative: str | None = Field(None, max_length=MAX_QUERY, description="what it should not mean")
    terms: str | None = Field(None, description="texts, ids and vectors with weights: as in JSON, as text")
    filter: str | None = Field(None, description=f"JSON as text, {FILTER}; or one parameter each: filter.steps.gte=20")
    collection: CollectionParameter = None
    limit: LimitParameter = DEFAULT_LIMIT
    cursor: str | None = Field(None, description="`next` of an answer, instead of a query")


def options_of_url(request: Request) -> Query:
    """For an address that asks something by itself; raises the errors of queries."""
    fields: dict[str, str] = {}
    conditions = []
    for name, value in request.query_params.multi_items():
        if name.startswith(_FILTER):
            conditions.append((name, value))
        elif name not in UrlParameters.model_fields:
            raise ParameterError(f"there is no parameter {name!r}; there are {_names(UrlParameters)}")
        else:
            fields[name] = value
    try:
        given = UrlParameters.model_validate(fields)
    except ValidationError as error:
        raise ParameterError(describe(error.errors())) from None
    terms = _validated({"terms": _json("terms", given.terms)}).terms if given.terms else []
    return _query(given, terms, conditions, Filter.read(given.filter) if given.filter else None, [])


def from_url(request: Request) -> Query:
    """Raises the errors of queries."""
    return options_of_url(request).require_terms()


async def from_body(request: Request) -> Query:
    """A multipart or URL-encoded form, or JSON. Options in the URL are refused rather than ignored."""
    if request.query_params:
        raise ParameterError("a POST takes its parameters from the body, not from the URL")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form(max_files=MAX_TERMS + 1, max_fields=_MOST_FIELDS) as form:
            fields, conditions, pictures = await _read_form(form)
            return of_json(_validated(fields), conditions, pictures).require_terms()
    if kind == "application/json":
        return of_json(_validated(read_json(await request.body()), strict=True)).require_terms()
    raise ParameterError(
        f"the content type {kind!r} is not known: send multipart/form-data (curl -F image=@cat.png) or application/json"
    )


BodyQuery = Annotated[Query, Depends(from_body)]


def of_json(given: JsonQuery, conditions: Iterable[tuple[str, str]] = (), pictures: Sequence[bytes] = ()) -> Query:
    """Raises the errors of queries."""
    filter = None if given.filter is None else Filter.parse(given.filter)
    images = [*pictures, *([decode(given.image)] if given.image is not None else [])]
    return _query(given, given.terms, conditions, filter, images)


def decode(image: str) -> bytes:
    """The bytes of a picture in base64; raises QueryError."""
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        picture = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise QueryError("image is no base64; send a file as multipart/form-data instead") from None
    if not picture:
        raise PictureError("image is empty")
    return picture


def read_json(body: bytes) -> dict[str, Any]:
    """Raises ParameterError."""
    try:
        data = json.loads(body)
    except RecursionError:
        raise ParameterError("the body is nested too deeply: parameters are texts and numbers") from None
    except ValueError as error:
        raise ParameterError(f"the body is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ParameterError('the body must be a JSON object, such as {"q": "happy dog"}')
    return data


def _query(
    given: UrlParameters | JsonQuery, terms: Sequence[JsonTerm], conditions: Iterable[tuple[str, str]],
    filter: Filter | None, pictures: Sequence[bytes],
) -> Query:  # fmt: skip
    every = build_terms(given.q, pictures, [_term(term) for term in terms], given.negative)
    options = Options(
        mode=given.mode,
        filter=filter,
        sort=normalize_sort(given.sort, given.mode),
        min_score=given.min_score,
        group_by=given.group_by,
        deduplicate=given.deduplicate,
        diversity=given.diversity,
        via=given.via,
    )
    return Query(
        every, add_conditions(options, [condition(name.removeprefix(_FILTER), value) for name, value in conditions]),
        blank_to_none(given.q), given.cursor, given.collection, given.limit, given.include == "vector", given.explain,
    )  # fmt: skip


def _term(given: JsonTerm) -> Term:
    return Term(
        text=given.text,
        picture=None if given.image is None else decode(given.image),
        id=given.id,
        vector=None if given.vector is None else tuple(given.vector),
        weight=given.weight,
    )


async def _read_form(form: FormData) -> tuple[dict[str, Any], list[tuple[str, str]], list[bytes]]:
    fields: dict[str, Any] = {}
    conditions: list[tuple[str, str]] = []
    pictures: list[bytes] = []
    for name, value in form.multi_items():  # a browser also sends the fields that nobody filled in: they are left out
        if isinstance(value, UploadFile):
            if name != "image":
                raise ParameterError(f"a file was sent as {name!r}: a picture belongs into the field `image`")
            content = await value.read()
            if not content and not value.filename:
                continue
            if not content:
                raise PictureError("the uploaded file is empty")
            pictures.append(content)
        elif name.startswith(_FILTER):
            conditions.append((name, value))
        elif name in fields:
            raise ParameterError(f"{name} was sent twice")
        elif value:
            fields[name] = _json(name, value) if name in ("terms", "filter") else value
    if "image" in fields:
        raise ParameterError("image was sent as text, not as a file: with curl, write -F image=@FILE with the @")
    return fields, conditions, pictures


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{name} is no JSON: {error}") from None


def _validated(fields: dict[str, Any], *, strict: bool = False) -> JsonQuery:
    """`strict`: numbers are numbers, as JSON can say; in a form everything is text."""
    try:
        return JsonQuery.model_validate(fields, strict=strict)
    except ValidationError as error:
        raise ParameterError(f"{describe(error.errors())} (parameters are {_names(JsonQuery)})") from None


def _names(model: type[JsonOptions]) -> str:
    own = [name for name in model.model_fields if name not in JsonOptions.model_fields]
    return ", ".join([*own, *JsonOptions.model_fields])


def _form_schema() -> dict[str, Any]:
    """The fields of a form: those of JSON, with texts for what is nested and files for pictures."""
    fields = {
        name: dict(field)
        for name, field in JsonQuery.model_json_schema(ref_template="#/components/schemas/{model}")[
            "properties"
        ].items()
    }
    for name in ("terms", "filter"):
        fields[name] = {"type": "string", "description": f"JSON as text; {fields[name].get('description', '')}"}
    fields["image"] = {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MAX_TERMS}
    return {"type": "object", "properties": fields}


# What `from_url` and `options_of_url` take, for the OpenAPI document.
URL_SCHEMA: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in UrlParameters.model_json_schema()["properties"].items()
    ]
}

# What `from_body` takes: it reads the body itself, so that both kinds can be answered.
BODY_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _form_schema()},
            "application/json": {"schema": {"$ref": "#/components/schemas/JsonQuery"}},
        },
    }
}
