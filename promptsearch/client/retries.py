"""When a client repeats a request. No request changes anything, so all of them are safe to repeat."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

_TEMPORARY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_FIRST_WAIT = 0.25  # seconds, without a Retry-After; doubled for each further try


@dataclass(frozen=True)
class Retries:
    """How often a request is repeated at `most`, and the `longest` wait before a repetition, in seconds.

    A response whose Retry-After is longer than that is final.
    """

    most: int = 3
    longest: float = 10.0

    def wait(self, tries: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds to wait after this many tries, the last with this outcome; None if it is final."""
        if tries > self.most or not _is_temporary(outcome):
            return None
        seconds = None if isinstance(outcome, httpx.TransportError) else retry_after(outcome)
        if seconds is not None:
            return seconds if seconds <= self.longest else None
        # Jitter: clients that were rejected together would otherwise return together.
        return min(_FIRST_WAIT * 2.0 ** (tries - 1), self.longest) * random.uniform(0.5, 1.0)  # noqa: S311


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of Retry-After (RFC 9110, 10.2.3), which is a number or a date; None if it is neither."""
    value = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(value) if value[:1].isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _is_temporary(outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _TEMPORARY
    # The service is starting, or closed the connection. A timeout is final: the next try would take as long.
    return isinstance(outcome, httpx.NetworkError | httpx.RemoteProtocolError)
