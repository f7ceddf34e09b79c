"""Who is let in, and how often: API keys and rate limits, before anything of a request is read."""

from __future__ import annotations

from fastapi import Request

from promptsearch.errors import KeyNeeded, RateExceeded

from ..ops.metrics import Metrics
from .keys import COOKIE, Keys
from .rates import Rates


class Gate:
    """`keys` None: everyone is let in. `rates` None: as often as they like."""

    def __init__(self, keys: Keys | None, rates: Rates | None, metrics: Metrics) -> None:
        self._keys = keys
        self._rates = rates
        self._rejected = metrics.rejected

    async def admit(self, request: Request) -> None:
        """A dependency of every guarded route; raises KeyNeeded or RateExceeded."""
        client = f"address {request.client.host if request.client else 'unknown'}"
        try:
            if self._keys is not None:
                client = self._keys.holder(request.headers.get("authorization"), request.cookies.get(COOKIE))
        except KeyNeeded:
            self._rejected.labels("key").inc()
            self._count(client)  # guesses are requests, too
            raise
        self._count(client)

    def _count(self, client: str) -> None:
        try:
            if self._rates is not None:
                self._rates.count(client)
        except RateExceeded:
            self._rejected.labels("rate").inc()
            raise
