"""`/search/images` and `/search/prompts`, by text or by picture."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service import schemas
from service.dependencies import CatalogueState, SettingsState, WorkersState, answers
from service.query import BODY_SCHEMA, BodyQuery, UrlQuery
from service.searching import search

router = APIRouter(prefix="/search", tags=["search"])

CACHED = "public, max-age=60"  # seconds; a new version of the collection is seen that soon


@router.get("/images", summary="Images by text")
async def images_by_text(
    query: UrlQuery, catalogue: CatalogueState, settings: SettingsState, workers: WorkersState, response: Response
) -> schemas.ImageResults:
    response.headers["Cache-Control"] = CACHED
    return await images_by_anything(query, catalogue, settings, workers)


@router.post("/images", summary="Images by picture, text or both", openapi_extra=BODY_SCHEMA)
async def images_by_anything(
    query: BodyQuery, catalogue: CatalogueState, settings: SettingsState, workers: WorkersState
) -> schemas.ImageResults:
    served = catalogue[query.collection]

    def work() -> schemas.ImageResults:
        return answers(catalogue, served).images(*search(served, "images", query, max_pixels=settings.max_pixels))

    return await workers.run(work)


@router.get("/prompts", summary="Prompts by text")
async def prompts_by_text(
    query: UrlQuery, catalogue: CatalogueState, settings: SettingsState, workers: WorkersState, response: Response
) -> schemas.PromptResults:
    response.headers["Cache-Control"] = CACHED
    return await prompts_by_anything(query, catalogue, settings, workers)


@router.post("/prompts", summary="Prompts by picture, text or both", openapi_extra=BODY_SCHEMA)
async def prompts_by_anything(
    query: BodyQuery, catalogue: CatalogueState, settings: SettingsState, workers: WorkersState
) -> schemas.PromptResults:
    served = catalogue[query.collection]

    def work() -> schemas.PromptResults:
        return answers(catalogue, served).prompts(*search(served, "prompts", query, max_pixels=settings.max_pixels))

    return await workers.run(work)
