"""Limits on the requests of one client."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from promptsearch.errors import RateExceeded


def parse_rate(text: str) -> list[RateLimitItem]:
    """Return the limits that a text such as `600/minute` or `20/second, 5000/day` lists; raises ValueError."""
    try:
        return parse_many(text)
    except ValueError:
        raise ValueError(
            f"expected a rate such as 600/minute, or 20/second;5000/day for both limits, got {text!r}"
        ) from None


class RateLimiter:
    """Counts requests by client in this process's memory; several limits apply together."""

    def __init__(self, rate: str) -> None:
        self._limits = parse_rate(rate)
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, client: str) -> None:
        """Count a request of `client`; raises RateExceeded if it exceeds a limit."""
        for limit in self._limits:
            if not self._windows.hit(limit, client):
                seconds = self._windows.get_window_stats(limit, client).reset_time - time.time()
                wait = max(1, math.ceil(seconds))
                raise RateExceeded(f"rate limit of {limit} reached: try again in {wait} s", wait)
