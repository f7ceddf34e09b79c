"""When a request is sent again. Every request of ours asks and none changes anything, so all of them may be."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

_AGAIN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_FIRST = 0.25  # seconds to wait where the service does not say; twice as long each time


@dataclass(frozen=True)
class Retries:
    """`most`: how often a request is sent again. `longest`: seconds that one wait may take; what says that it takes
    longer is not waited for."""

    most: int = 3
    longest: float = 10.0

    def wait(self, tries: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds to wait after so many tries, the last with this outcome; None: it stays with that."""
        if tries > self.most or not _may_change(outcome):
            return None
        said = None if isinstance(outcome, httpx.TransportError) else retry_after(outcome)
        if said is not None:
            return said if said <= self.longest else None
        # Not all at once: those that were refused together would be refused together again.
        return min(_FIRST * 2.0 ** (tries - 1), self.longest) * random.uniform(0.5, 1.0)  # noqa: S311


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that an answer says to wait (RFC 9110, 10.2.3): a number of them, or a date."""
    said = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(said) if said[:1].isdigit() else parsedate_to_datetime(said).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _may_change(outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _AGAIN
    # A service that is being started, or a connection that it closed; one that is too slow would be again.
    return isinstance(outcome, httpx.NetworkError | httpx.RemoteProtocolError)
