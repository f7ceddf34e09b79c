"""The application: routes, limits and errors over an opened catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import APIKeyCookie, HTTPBearer

from promptsearch.version import __version__

from .access.auth import Gate
from .access.keys import COOKIE, Keys, read_keys
from .access.rates import Rates
from .access.shedding import SHEDDING, Shedding
from .api import openapi
from .api.readiness import Readiness
from .api.routes import clip_retrieval, collections, embed, health, items, metrics, page, search, session
from .catalogue.catalogue import Catalogue
from .catalogue.reloading import Reloading
from .http import problems
from .http.body_limit import BodyLimit
from .http.normalize_path import Addresses
from .http.security_headers import SecurityHeaders
from .inference.workers import Workers, threads
from .ops.metrics import Metrics
from .ops.request_log import HEADER as REQUEST_ID_HEADER
from .ops.request_log import Observed
from .ops.tracing import trace
from .search.image_fetcher import Fetching
from .search.searching import Searching
from .settings import Settings

DESCRIPTION = """Which generated images, and which prompts, mean this? Ask in words, with a picture, or both.

Errors are problem documents (RFC 9457) whose `type` is stable."""


def create_app(settings: Settings, catalogue: Catalogue) -> FastAPI:
    """The service over `catalogue`, which it closes when it ends; raises StartError where a setting cannot be met."""
    keys = read_keys([key.get_secret_value() for key in settings.api_keys], settings.api_keys_file)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Shedding]]:
        workers = Workers(threads(settings.workers))
        reloading = Reloading(catalogue, app.state.metrics)
        searching = Searching(settings, catalogue, reloading, workers, app.state.metrics)
        readiness = Readiness(catalogue, searching)
        app.state.catalogue, app.state.searching = catalogue, searching
        app.state.fetching = Fetching(settings.max_upload_bytes) if settings.image_urls else None
        app.state.reloading, app.state.readiness = reloading, readiness
        tasks = [asyncio.create_task(reloading.keep_looking()), asyncio.create_task(readiness.keep_checking())]
        yield {SHEDDING: Shedding(searching.require_room, app.state.metrics)}  # for service/server/protocol.py
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        workers.close()
        catalogue.close()

    app = FastAPI(
        title="prompt-search", version=__version__, description=DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.metrics = Metrics()
    for served in catalogue.served.values():
        app.state.metrics.serves(served.name, served.collection.version)
    problems.install(app)
    openapi.install(app)
    _add_middleware(app, settings, private=bool(keys))
    _add_routes(app, settings, keys)
    if settings.otlp_endpoint:
        trace(app, settings.otlp_endpoint)
    return app


def _add_middleware(app: FastAPI, settings: Settings, *, private: bool) -> None:
    """From the innermost to the outermost."""
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID_HEADER],
            expose_headers=["Retry-After", REQUEST_ID_HEADER],
        )
    app.add_middleware(SecurityHeaders, shared=bool(settings.cors_origins), private=private)
    app.add_middleware(Addresses)
    app.add_middleware(Observed, metrics=app.state.metrics)


def _add_routes(app: FastAPI, settings: Settings, keys: list[str]) -> None:
    """Health, the page and the description are open; all else is guarded where the settings want it to be."""
    guards: list[Any] = []
    refusals: dict[int | str, dict[str, Any]] = {}
    app.state.keys = Keys(keys) if keys else None
    rates = Rates(settings.rate_limit) if settings.rate_limit else None
    if keys or rates:
        guards.append(Depends(Gate(app.state.keys, rates, app.state.metrics).admit))
    if keys:
        # They only declare for the description what the gate asks for.
        guards += [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyCookie(name=COOKIE, auto_error=False))]
        refusals[401] = problems.response(HTTPStatus.UNAUTHORIZED)
    if rates:
        refusals[429] = problems.response(HTTPStatus.TOO_MANY_REQUESTS)
    for routes in (search, embed, items, collections, clip_retrieval, metrics, *([session] if keys else [])):
        app.include_router(routes.router, dependencies=guards, responses=refusals)
    for routes in (health, page):
        app.include_router(routes.router)
