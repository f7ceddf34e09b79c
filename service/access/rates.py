"""How often one client may ask."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from promptsearch.errors import RateExceeded


def parse_rate(text: str) -> list[RateLimitItem]:
    """Such as `600/minute` or `20/second, 5000/day`; raises ValueError."""
    try:
        return parse_many(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no rate: write such as 600/minute, or 20/second;5000/day for both together"
        ) from None


class Rates:
    """Counts requests by client, in this process's memory; several limits hold together."""

    def __init__(self, rate: str) -> None:
        self._limits = parse_rate(rate)
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, client: str) -> None:
        """One more request of `client`; raises RateExceeded where that is one too many."""
        for limit in self._limits:
            if not self._windows.hit(limit, client):
                seconds = self._windows.get_window_stats(limit, client).reset_time - time.time()
                wait = max(1, math.ceil(seconds))
                raise RateExceeded(f"more requests than {limit} came from you: try again in {wait} s", wait)
