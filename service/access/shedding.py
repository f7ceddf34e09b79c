"""Load shedding: requests that are refused before they are parsed, because even refusals take time.

Not at the proxy: it counts connections, and does not know how many seconds of work are queued here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus

from fastapi.responses import JSONResponse

from promptsearch.errors import Overloaded

from ..http.problems import problem_response
from ..ops.logs import ACCESS
from ..ops.metrics import UNKNOWN, Metrics
from .admission import Work

SHEDDING = "shedding"  # its key in the lifespan's state

# Routes that compute something: not health, metrics or the page.
_SHEDDABLE = re.compile(rb"/+(search|images|prompts|embed|knn-service|metadata)[/?]")
# Headers of requests that are parsed all the same: with a body, which has to be read first, or from other origins, from
# which browsers hide responses without CORS headers.
_PARSED = {b"content-length", b"transfer-encoding", b"origin"}
# Requests that may wait for the event loop. More arrive together only if the loop is behind, or in a burst that there
# is room for.
_MAX_WAITING = 4
_BEHIND = 0.25  # seconds that the loop counts as behind after a refusal
_LOG_INTERVAL = 1.0  # seconds at least between two log lines


class Shedding:
    """Refuses work while the queue is full and the event loop is behind, for all connections of one process.

    Parsing a request and finding its response in the cache takes several times as long as refusing it: at ten times
    the load it would take all the time there is. While the loop keeps up, every request is parsed.
    """

    def __init__(
        self, require_room: Callable[[Work, int], None], metrics: Metrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Refuse what `require_room` refuses; `now` is the clock, in seconds."""
        self._now = now
        self._require_room = require_room
        self._refused = metrics.requests.labels("GET", UNKNOWN, str(HTTPStatus.SERVICE_UNAVAILABLE.value))
        self._stopped = False
        self._waiting = 0
        self._behind_until = 0.0
        self._unlogged = 0
        self._logged = 0.0

    def refusal(self, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> JSONResponse | None:
        """Return the response to a GET that is refused, or None for a GET that is to be parsed."""
        now = self._now()
        keeps_up = self._waiting < _MAX_WAITING and now > self._behind_until
        if keeps_up or self._stopped or not (route := _SHEDDABLE.match(target)):
            return None
        if not _PARSED.isdisjoint(name for name, _ in headers):
            return None
        try:
            # As admission would decide: there may still be room for items where there is none for searches.
            self._require_room("text" if route[1] == b"search" else "item", self._waiting)
        except Overloaded as error:
            self._behind_until = now + _BEHIND
            self._refused.inc()
            self._log(now)
            return _response(str(error), error.retry_after)
        return None

    def pass_on(self) -> None:
        """Count a request that waits for the event loop."""
        self._waiting += 1
        asyncio.get_running_loop().call_soon(self._started)  # queued just behind the request's task

    def stop(self) -> None:
        """Refuse nothing any more: the last responses of a process also ask clients to reconnect."""
        self._stopped = True

    def _started(self) -> None:
        self._waiting -= 1

    def _log(self, now: float) -> None:
        """Log refusals together: a line for each would take too much time."""
        self._unlogged += 1
        if now - self._logged >= _LOG_INTERVAL:
            ACCESS.info("refused %d requests unparsed: the service is overloaded", self._unlogged)
            self._logged, self._unlogged = now, 0


@lru_cache(64)
def _response(detail: str, retry_after: int) -> JSONResponse:
    """Return a response that is never changed; there are as many as seconds to wait."""
    return problem_response(Overloaded(detail, retry_after))
