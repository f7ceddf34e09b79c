"""API keys and rate limits, checked before anything else of a request is read."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from fastapi import Request

from promptsearch.errors import KeyNeeded, RateExceeded

from ..ops.metrics import Metrics
from .keys import COOKIE, ApiKeys
from .rate_limiter import RateLimiter

_PREFIX = 64  # bits of an IPv6 address that one client has for itself (RFC 6177)


@lru_cache(4096)
def address_of(host: str) -> str:
    """Return what counts as one client: an IPv4 address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # no IP connection
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _PREFIX), strict=False))


class Auth:
    """The dependency of every guarded route."""

    def __init__(self, keys: ApiKeys | None, limiter: RateLimiter | None, metrics: Metrics) -> None:
        """Require a key unless `keys` is None, and limit the rate unless `limiter` is None."""
        self._keys = keys
        self._limiter = limiter
        self._rejected = metrics.rejected

    async def require(self, request: Request) -> None:
        """Raise KeyNeeded or RateExceeded unless the request is allowed."""
        client = f"address {address_of(request.client.host if request.client else 'unknown')}"
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
