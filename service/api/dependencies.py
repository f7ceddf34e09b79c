"""What route handlers depend on: the application's state, typed."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from ..catalogue.catalogue import Catalogue, Served
from ..ops.metrics import Metrics
from ..responses.response_builder import ResponseBuilder
from ..search.search_service import SearchService
from .query import CollectionParameter
from .readiness import ReadinessCheck


async def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def search_service_of(request: Request) -> SearchService:
    """Return the search service, for handlers that do without FastAPI's dependencies."""
    service: SearchService = request.app.state.search_service
    return service


async def _search_service(request: Request) -> SearchService:
    return search_service_of(request)


async def _readiness(request: Request) -> ReadinessCheck:
    readiness: ReadinessCheck = request.app.state.readiness
    return readiness


CatalogueState = Annotated[Catalogue, Depends(_catalogue)]
MetricsState = Annotated[Metrics, Depends(_metrics)]
SearchServiceState = Annotated[SearchService, Depends(_search_service)]
ReadinessState = Annotated[ReadinessCheck, Depends(_readiness)]


async def _served(catalogue: CatalogueState, collection: CollectionParameter = None) -> Served:
    return catalogue[collection]


NamedCollection = Annotated[Served, Depends(_served)]


def response_builder(catalogue: Catalogue, served: Served) -> ResponseBuilder:
    """Return a builder whose item URLs name the collection if several are served."""
    return ResponseBuilder(served, named=len(catalogue.served) > 1)
