"""What handlers are given: the catalogue, the metrics and what searches."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from ..catalogue.catalogue import Catalogue, Served
from ..ops.metrics import Metrics
from ..responses.answers import Answers
from ..search.searching import Searching
from .query import CollectionParameter
from .readiness import Readiness


async def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def searching_of(request: Request) -> Searching:
    """For handlers that ask for it themselves."""
    searching: Searching = request.app.state.searching
    return searching


async def _searching(request: Request) -> Searching:
    return searching_of(request)


async def _readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


CatalogueState = Annotated[Catalogue, Depends(_catalogue)]
MetricsState = Annotated[Metrics, Depends(_metrics)]
SearchingState = Annotated[Searching, Depends(_searching)]
ReadinessState = Annotated[Readiness, Depends(_readiness)]


async def _served(catalogue: CatalogueState, collection: CollectionParameter = None) -> Served:
    return catalogue[collection]


NamedCollection = Annotated[Served, Depends(_served)]


def answers(catalogue: Catalogue, served: Served) -> Answers:
    return Answers(served, named=len(catalogue.served) > 1)
