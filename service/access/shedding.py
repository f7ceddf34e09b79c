"""What is refused at first sight, because even refusals take time."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus

from fastapi.responses import JSONResponse

from promptsearch.errors import Overloaded

from ..http.problems import answer
from ..ops.logs import ACCESS
from ..ops.metrics import UNKNOWN, Metrics
from .admission import Work

SHEDDING = "shedding"  # what the lifespan's state calls it

_WORK = re.compile(rb"/+(search|images|prompts|embed|knn-service|metadata)[/?]")  # and not health, metrics or the page
# Headers of requests with a body, which has to be read first, and of pages elsewhere, from which browsers hide what has
# no CORS headers.
_HANDED_ON = {b"content-length", b"transfer-encoding", b"origin"}
# Requests that may wait until the event loop looks at them. More come together only where it is behind, or in a burst
# for which there is room.
_WAITING = 4
_BEHIND = 0.25  # seconds that the loop counts as behind from when it was and there was no room
_EVERY = 1.0  # seconds at least from one line in the log to the next


class Shedding:
    """Refuses work that there is no room for when the event loop is behind, for each connection of one process.

    To find out what is asked, and that its answer is known already, takes several times as long as to refuse it, and
    more than a service that is asked ten times what it can has. While the loop keeps up, it is found out first.
    """

    def __init__(
        self, require_room: Callable[[Work, int], None], metrics: Metrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now` is the clock, in seconds."""
        self._require_room = require_room
        self._now = now
        self._refused = metrics.requests.labels("GET", UNKNOWN, str(HTTPStatus.SERVICE_UNAVAILABLE.value))
        self._stopped = False
        self._waiting = 0
        self._behind = 0.0  # until when
        self._untold = 0
        self._told = 0.0

    def refusal(self, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> JSONResponse | None:
        """The answer to a GET that is not to be handed on, else None."""
        now = self._now()
        if (self._waiting < _WAITING and now > self._behind) or self._stopped or not (work := _WORK.match(target)):
            return None
        if not _HANDED_ON.isdisjoint(name for name, _ in headers):
            return None
        try:
            # As it would be found out: where searches have become too dear, there is still room for less.
            self._require_room("text" if work[1] == b"search" else "item", self._waiting)
        except Overloaded as error:
            self._behind = now + _BEHIND
            self._refused.inc()
            self._tell(now)
            return _answer(str(error), error.retry_after)
        return None

    def hand_on(self) -> None:
        """A request is now waiting to be looked at."""
        self._waiting += 1
        asyncio.get_running_loop().call_soon(self._look_at)  # its task is next in the same line

    def stop(self) -> None:
        """Hand on everything, as the last answers of a process have something more to say."""
        self._stopped = True

    def _look_at(self) -> None:
        self._waiting -= 1

    def _tell(self, now: float) -> None:
        """A line for each would be work, too."""
        self._untold += 1
        if now - self._told >= _EVERY:
            ACCESS.info("refused %d requests at first sight: more is asked than can be answered", self._untold)
            self._told, self._untold = now, 0


@lru_cache(64)
def _answer(detail: str, retry_after: int) -> JSONResponse:
    """There are as many as seconds to wait, and nothing of them is changed."""
    return answer(Overloaded(detail, retry_after))
