"""Whether the service is alive and ready; open to everyone, and answered without waiting for anything."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter

from ...http import problems
from ...responses import schemas
from ..dependencies import ReadinessState

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="The process is alive")
async def healthz() -> schemas.Health:
    """Return `ok` as long as the process answers at all."""
    return schemas.Health(status="ok")


@router.get(
    "/readyz",
    summary="The last self-check, which encoded and searched in each collection",
    responses={503: problems.response(HTTPStatus.SERVICE_UNAVAILABLE)},
)
async def readyz(readiness: ReadinessState) -> schemas.Readiness:
    """Return whether searches can be answered now."""
    return readiness.status()
