"""What is served, and whether it is."""

from __future__ import annotations

from fastapi import APIRouter

from service import schemas
from service.answers import collection_list, collection_summary
from service.dependencies import CatalogueState

router = APIRouter(tags=["service"])


@router.get("/collections", summary="Every collection: counts, model, version, recall")
async def collections(catalogue: CatalogueState) -> schemas.CollectionList:
    return collection_list(catalogue)


@router.get("/collections/{name}", summary="One collection")
async def collection(name: str, catalogue: CatalogueState) -> schemas.CollectionSummary:
    return collection_summary(catalogue[name])


@router.get("/healthz", summary="The process is alive")
async def healthz() -> schemas.Health:
    return schemas.Health(status="ok")


@router.get("/readyz", summary="The collections were opened, and each has encoded and searched once")
async def readyz() -> schemas.Health:
    return schemas.Health(status="ready")
