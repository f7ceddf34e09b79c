"""What handlers are given: the catalogue, the settings and the worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from promptsearch.encoders import cores
from service.answers import Answers
from service.catalogue import Catalogue, Served
from service.metrics import Metrics
from service.query import CollectionParameter
from service.settings import Settings

T = TypeVar("T")


class Workers:
    """A bounded pool for what computes or reads files: ONNX Runtime, FAISS and SQLite all give up the GIL."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(cores(), thread_name_prefix="search")

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown()


def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def _workers(request: Request) -> Workers:
    workers: Workers = request.app.state.workers
    return workers


CatalogueState = Annotated[Catalogue, Depends(_catalogue)]
SettingsState = Annotated[Settings, Depends(_settings)]
MetricsState = Annotated[Metrics, Depends(_metrics)]
WorkersState = Annotated[Workers, Depends(_workers)]


def _served(catalogue: CatalogueState, collection: CollectionParameter = None) -> Served:
    return catalogue[collection]


NamedCollection = Annotated[Served, Depends(_served)]


def answers(catalogue: Catalogue, served: Served) -> Answers:
    return Answers(served, named=len(catalogue.served) > 1)
