"""`/search/images` and `/search/prompts`, by text or by picture."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from service import schemas
from service.dependencies import SearchingState
from service.query import BODY_SCHEMA, BodyQuery, UrlQuery

router = APIRouter(prefix="/search", tags=["search"])

MEDIA_TYPE = "application/json"
CACHED = {"Cache-Control": "public, max-age=60"}  # seconds; a new version of the collection is seen that soon


async def _require_room(searching: SearchingState) -> None:
    searching.require_room()


@router.get("/images", summary="Images by text", response_model=schemas.ImageResults)
async def images_by_text(query: UrlQuery, searching: SearchingState, request: Request) -> Response:
    return Response(await searching.search(request, "images", query), media_type=MEDIA_TYPE, headers=CACHED)


@router.post(
    "/images",
    summary="Images by picture, text or both",
    response_model=schemas.ImageResults,
    dependencies=[Depends(_require_room)],
    openapi_extra=BODY_SCHEMA,
)
async def images_by_anything(query: BodyQuery, searching: SearchingState, request: Request) -> Response:
    return Response(await searching.search(request, "images", query), media_type=MEDIA_TYPE)


@router.get("/prompts", summary="Prompts by text", response_model=schemas.PromptResults)
async def prompts_by_text(query: UrlQuery, searching: SearchingState, request: Request) -> Response:
    return Response(await searching.search(request, "prompts", query), media_type=MEDIA_TYPE, headers=CACHED)


@router.post(
    "/prompts",
    summary="Prompts by picture, text or both",
    response_model=schemas.PromptResults,
    dependencies=[Depends(_require_room)],
    openapi_extra=BODY_SCHEMA,
)
async def prompts_by_anything(query: BodyQuery, searching: SearchingState, request: Request) -> Response:
    return Response(await searching.search(request, "prompts", query), media_type=MEDIA_TYPE)
