"""`/search/images` and `/search/prompts`, by text, picture and more, and batches of searches."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from promptsearch.errors import ParameterError, PromptSearchError
from promptsearch.search.query import Query
from promptsearch.storage.manifest import Kind

from ...http.problems import problem_of
from ...responses import schemas
from ..dependencies import SearchServiceState, search_service_of
from ..json_models import read_model, reference, require_json
from ..json_query import Batch, BatchQuery
from ..query import BODY_SCHEMA, URL_SCHEMA, BodyQuery, parse_url, to_query

router = APIRouter(prefix="/search", tags=["search"])

MEDIA_TYPE = "application/json"
MAX_ENCODED = 256  # texts and pictures of a batch: CLIP ViT-B/32 encodes so many texts in two seconds on two cores
BatchedQuery = tuple[Kind, Query | PromptSearchError]  # the error that its place in the batch is answered with

_CACHED = {"Cache-Control": "public, max-age=60"}  # seconds until clients see a new version of the collection


async def require_room(service: SearchServiceState) -> None:
    """Refuse a request before its body is read; raises Overloaded."""
    service.require_room()


async def _batch(request: Request) -> list[BatchedQuery]:
    require_json(request)
    return await read_model(request, Batch, _queries)


def _queries(batch: Batch) -> list[BatchedQuery]:
    """Return the queries of a batch; raises ParameterError if all together take too long."""
    queries = [_query_or_error(body) for body in batch.queries]
    encoded = sum(
        term.text is not None or term.picture is not None
        for _, query in queries
        if isinstance(query, Query)
        for term in query.terms
    )
    if encoded > MAX_ENCODED:
        raise ParameterError(
            f"a batch must have at most {MAX_ENCODED} texts and pictures in all, got {encoded}: send several batches"
        )
    return queries


def _query_or_error(body: BatchQuery) -> BatchedQuery:
    try:
        return body.target, to_query(body).require_terms()
    except PromptSearchError as error:
        return body.target, error


@router.get("/images", summary="Images by text", response_model=schemas.ImageResults, openapi_extra=URL_SCHEMA)
async def images_by_text(request: Request) -> Response:
    """Return the images that are nearest in meaning to a text, further terms and a filter."""
    return await _by_url(request, "images")


@router.post(
    "/images",
    summary="Images by pictures, texts, ids and vectors",
    response_model=schemas.ImageResults,
    dependencies=[Depends(require_room)],
    openapi_extra=BODY_SCHEMA,
)
async def images_by_anything(query: BodyQuery, service: SearchServiceState, request: Request) -> Response:
    """Return the images that are nearest to all terms together, sent as a form or as JSON."""
    return Response(await service.search(request, "images", query), media_type=MEDIA_TYPE)


@router.get("/prompts", summary="Prompts by text", response_model=schemas.PromptResults, openapi_extra=URL_SCHEMA)
async def prompts_by_text(request: Request) -> Response:
    """Return the prompts that are nearest in meaning to a text, further terms and a filter."""
    return await _by_url(request, "prompts")


@router.post(
    "/prompts",
    summary="Prompts by pictures, texts, ids and vectors",
    response_model=schemas.PromptResults,
    dependencies=[Depends(require_room)],
    openapi_extra=BODY_SCHEMA,
)
async def prompts_by_anything(query: BodyQuery, service: SearchServiceState, request: Request) -> Response:
    """Return the prompts that are nearest to all terms together, sent as a form or as JSON."""
    return Response(await service.search(request, "prompts", query), media_type=MEDIA_TYPE)


async def _by_url(request: Request, kind: Kind) -> Response:
    # Without FastAPI's parameters: resolving them takes longer than all else of a cached search or a refusal.
    body = await search_service_of(request).search(request, kind, parse_url(request))
    return Response(body, media_type=MEDIA_TYPE, headers=_CACHED)


@router.post(
    "/batch",
    summary="Many searches at once, encoded together",
    response_model=schemas.BatchResults,
    dependencies=[Depends(require_room)],
    openapi_extra=reference(Batch),
)
async def batch(
    queries: Annotated[list[BatchedQuery], Depends(_batch)], service: SearchServiceState, request: Request
) -> Response:
    """Return what each query finds, or its problem, in the order of the queries."""
    results = await asyncio.gather(*(_search_or_problem(kind, query, service, request) for kind, query in queries))
    return Response(b'{"results":[%s]}' % b",".join(results), media_type=MEDIA_TYPE)


async def _search_or_problem(
    kind: Kind, query: Query | PromptSearchError, service: SearchServiceState, request: Request
) -> bytes:
    try:
        if isinstance(query, PromptSearchError):
            raise query
        return await service.search(request, kind, query)
    except PromptSearchError as error:
        return to_json(problem_of(error))
