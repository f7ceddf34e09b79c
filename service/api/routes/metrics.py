"""The metrics that Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ...ops.metrics import MEDIA_TYPE
from ..dependencies import MetricsState

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    summary="Counters and timings, in Prometheus's text format",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(metrics: MetricsState) -> Response:
    """Return the metrics of all processes of the service."""
    return Response(metrics.exposition(), media_type=MEDIA_TYPE)
