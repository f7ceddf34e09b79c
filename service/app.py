"""The application: routes, limits and errors over an opened catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from promptsearch import __version__
from service import problems
from service.catalogue import Catalogue
from service.dependencies import Workers
from service.limits import BodyLimit
from service.metrics import Metrics
from service.routes import collections, items, metrics, search
from service.routes.page import Page
from service.settings import Settings

DESCRIPTION = """Which generated images, and which prompts, mean this? Ask in words, with a picture, or both.

Errors are problem documents (RFC 9457) whose `type` is stable."""


def create_app(settings: Settings, catalogue: Catalogue) -> FastAPI:
    """The service over `catalogue`, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings, app.state.catalogue, app.state.workers = settings, catalogue, Workers()
        yield
        app.state.workers.close()
        catalogue.close()

    app = FastAPI(title="prompt-search", version=__version__, description=DESCRIPTION, lifespan=lifespan)
    app.state.metrics = Metrics()
    for served in catalogue.served.values():
        app.state.metrics.serves(served.name, served.collection.version)
    problems.install(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["GET", "POST"])
    for routes in (search, items, collections, metrics):
        app.include_router(routes.router)
    app.mount("/", Page(), name="page")
    return app
