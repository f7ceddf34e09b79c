"""`/search/images` and `/search/prompts`: by text, by picture, by both and more; and many searches at once."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from promptsearch.errors import PromptSearchError
from promptsearch.search.query import Query
from promptsearch.storage.manifest import Kind

from ...http.problems import problem_of
from ...responses import schemas
from ..dependencies import SearchingState, searching_of
from ..query import BODY_SCHEMA, URL_SCHEMA, BodyQuery, from_url, of_json

router = APIRouter(prefix="/search", tags=["search"])

MEDIA_TYPE = "application/json"
CACHED = {"Cache-Control": "public, max-age=60"}  # seconds; a new version of the collection is seen that soon


async def require_room(searching: SearchingState) -> None:
    searching.require_room()


@router.get("/images", summary="Images by text", response_model=schemas.ImageResults, openapi_extra=URL_SCHEMA)
async def images_by_text(request: Request) -> Response:
    return await _by_url(request, "images")


@router.post(
    "/images",
    summary="Images by pictures, texts, ids and vectors",
    response_model=schemas.ImageResults,
    dependencies=[Depends(require_room)],
    openapi_extra=BODY_SCHEMA,
)
async def images_by_anything(query: BodyQuery, searching: SearchingState, request: Request) -> Response:
    return Response(await searching.search(request, "images", query), media_type=MEDIA_TYPE)


@router.get("/prompts", summary="Prompts by text", response_model=schemas.PromptResults, openapi_extra=URL_SCHEMA)
async def prompts_by_text(request: Request) -> Response:
    return await _by_url(request, "prompts")


@router.post(
    "/prompts",
    summary="Prompts by pictures, texts, ids and vectors",
    response_model=schemas.PromptResults,
    dependencies=[Depends(require_room)],
    openapi_extra=BODY_SCHEMA,
)
async def prompts_by_anything(query: BodyQuery, searching: SearchingState, request: Request) -> Response:
    return Response(await searching.search(request, "prompts", query), media_type=MEDIA_TYPE)


async def _by_url(request: Request, kind: Kind) -> Response:
    # No parameters of the handlers: that FastAPI resolves those takes longer than all else of a query whose answer is
    # kept, and a refusal is to cost nothing.
    found = await searching_of(request).search(request, kind, from_url(request))
    return Response(found, media_type=MEDIA_TYPE, headers=CACHED)


@router.post(
    "/batch",
    summary="Many searches at once, encoded together",
    response_model=schemas.BatchResults,
    dependencies=[Depends(require_room)],
)
async def batch(asked: schemas.Batch, searching: SearchingState, request: Request) -> Response:
    """What is wrong with one query is the answer to that one alone."""
    found = await asyncio.gather(*(_answered(one, searching, request) for one in asked.queries))
    return Response(b'{"results":[%s]}' % b",".join(found), media_type=MEDIA_TYPE)


async def _answered(one: schemas.BatchQuery, searching: SearchingState, request: Request) -> bytes:
    kind: Kind = one.target
    try:
        query: Query = of_json(one).require_terms()
        return await searching.search(request, kind, query)
    except PromptSearchError as error:
        return to_json(problem_of(error))
