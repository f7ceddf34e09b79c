"""The collections that are served."""

from __future__ import annotations

from fastapi import APIRouter

from ...responses import schemas
from ...responses.response_builder import collection_list, collection_summary, field_list
from ..dependencies import CatalogueState

router = APIRouter(tags=["service"])


@router.get("/collections", summary="Every collection: counts, model, version, recall")
async def collections(catalogue: CatalogueState) -> schemas.CollectionList:
    """Return every collection that is served, and why others are not."""
    return collection_list(catalogue)


@router.get("/collections/{name}", summary="One collection")
async def collection(name: str, catalogue: CatalogueState) -> schemas.CollectionSummary:
    """Return one collection's counts, model and indices."""
    return collection_summary(catalogue[name])


@router.get("/collections/{name}/fields", summary="What its images can be filtered and sorted by")
async def fields(name: str, catalogue: CatalogueState) -> schemas.FieldList:
    """Return the fields of a collection, each with its type and most frequent values."""
    return field_list(catalogue[name])
