"""API keys and rate limits, checked before anything else of a request is read."""

from __future__ import annotations

from fastapi import Request

from promptsearch.errors import KeyNeeded, RateExceeded

from ..ops.metrics import Metrics
from .keys import COOKIE, ApiKeys
from .rate_limiter import RateLimiter


class Auth:
    """The dependency of every guarded route."""

    def __init__(self, keys: ApiKeys | None, limiter: RateLimiter | None, metrics: Metrics) -> None:
        """Require a key unless `keys` is None, and limit the rate unless `limiter` is None."""
        self._keys = keys
        self._limiter = limiter
        self._rejected = metrics.rejected

    async def require(self, request: Request) -> None:
        """Raise KeyNeeded or RateExceeded unless the request is allowed."""
        client = f"address {request.client.host if request.client else 'unknown'}"
        try:
            if self._keys is not None:
                client = self._keys.holder(request.headers.get("authorization"), request.cookies.get(COOKIE))
        except KeyNeeded:
            self._rejected.labels("key").inc()
            self._count(client)  # guessing keys counts too
            raise
        self._count(client)

    def _count(self, client: str) -> None:
        try:
            if self._limiter is not None:
                self._limiter.count(client)
        except RateExceeded:
            self._rejected.labels("rate").inc()
            raise
