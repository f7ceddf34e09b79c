"""The application: routes, middleware and error handlers over an opened catalogue."""

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

from .access.auth import Auth
from .access.keys import COOKIE, ApiKeys, read_keys
from .access.rate_limiter import RateLimiter
from .access.shedding import SHEDDING, Shedding
from .api import openapi
from .api.readiness import ReadinessCheck
from .api.routes import clip_retrieval, collections, embed, health, items, metrics, page, search, session
from .catalogue.catalogue import Catalogue
from .catalogue.reloader import Reloader
from .http import problems
from .http.body_limit import BodyLimit
from .http.normalize_path import NormalizePath
from .http.security_headers import SecurityHeaders
from .inference.search_threads import SearchThreads, threads_per_process
from .ops.metrics import Metrics
from .ops.request_log import HEADER as REQUEST_ID_HEADER
from .ops.request_log import RequestLog
from .ops.tracing import trace
from .search.image_fetcher import ImageFetcher
from .search.search_service import SearchService
from .settings import Settings

DESCRIPTION = """Search generated images and their prompts by meaning: with words, a picture, or both.

Errors are problem documents (RFC 9457) with a stable `type`."""


def create_app(settings: Settings, catalogue: Catalogue) -> FastAPI:
    """Return the service over `catalogue`, which it closes at its end; raises StartError for unusable settings."""
    keys = read_keys([key.get_secret_value() for key in settings.api_keys], settings.api_keys_file)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Shedding]]:
        metrics: Metrics = app.state.metrics
        threads = SearchThreads(threads_per_process(settings.workers))
        reloader = Reloader(catalogue, metrics)
        service = SearchService(settings, catalogue, reloader, threads, metrics)
        readiness = ReadinessCheck(catalogue, service)
        app.state.catalogue, app.state.search_service = catalogue, service
        app.state.image_fetcher = ImageFetcher(settings.max_upload_bytes) if settings.image_urls else None
        app.state.reloader, app.state.readiness = reloader, readiness
        tasks = [asyncio.create_task(reloader.keep_refreshing()), asyncio.create_task(readiness.keep_checking())]
        yield {SHEDDING: Shedding(service.require_room, metrics)}  # for service/server/protocol.py
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        threads.close()
        catalogue.close()

    app = FastAPI(
        title="prompt-search", version=__version__, description=DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.metrics = Metrics()
    app.state.max_json_bytes = settings.max_json_bytes
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
    """Add the middleware, innermost first."""
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes, max_json_bytes=settings.max_json_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID_HEADER],
            expose_headers=["Retry-After", REQUEST_ID_HEADER],
        )
    app.add_middleware(SecurityHeaders, shared=bool(settings.cors_origins), private=private)
    app.add_middleware(NormalizePath)
    app.add_middleware(RequestLog, metrics=app.state.metrics)


def _add_routes(app: FastAPI, settings: Settings, keys: list[str]) -> None:
    """Add the routes. Health, the page and /docs are open; keys and rate limits guard all others."""
    guards: list[Any] = []
    refusals: dict[int | str, dict[str, Any]] = {}
    app.state.keys = ApiKeys(keys) if keys else None
    limiter = RateLimiter(settings.rate_limit) if settings.rate_limit else None
    if keys or limiter:
        guards.append(Depends(Auth(app.state.keys, limiter, app.state.metrics).require))
    if keys:
        # They only declare in the OpenAPI document what Auth requires.
        guards += [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyCookie(name=COOKIE, auto_error=False))]
        refusals[401] = problems.response(HTTPStatus.UNAUTHORIZED)
    if limiter:
        refusals[429] = problems.response(HTTPStatus.TOO_MANY_REQUESTS)
    for routes in (search, embed, items, collections, clip_retrieval, metrics, *([session] if keys else [])):
        app.include_router(routes.router, dependencies=guards, responses=refusals)
    for routes in (health, page):
        app.include_router(routes.router)
