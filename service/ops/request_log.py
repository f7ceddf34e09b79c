"""Every request has an id, a line in the log and its place in the metrics, and a bug in it an answer."""

from __future__ import annotations

import random
import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http import problems
from .logs import ACCESS, REQUEST_ID
from .metrics import UNKNOWN, Metrics

HEADER = "X-Request-ID"

_TAKEN = re.compile(r"[A-Za-z0-9._-]{1,128}")  # of a client's or proxy's id: nothing that a log could stumble over
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Observed:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _id_of(scope)
        REQUEST_ID.set(id)  # each request is a task with a context of its own
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = id
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            answer = problems.of_a_bug(Request(scope), error)
            if not status:  # else it is half sent, and the connection ends without the rest
                await answer(scope, receive, sending)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method, path = scope["method"], scope["path"]
        # By the route's template: an address that a client invents must not become a time series of its own.
        route = getattr(scope.get("route"), "path", UNKNOWN)
        counted = method if method in _METHODS else UNKNOWN
        self._metrics.requests.labels(counted, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        client = scope["client"][0] if scope["client"] else None
        # Without the query: what people search for is theirs.
        fields = {"method": method, "path": path, "route": route, "status": status, "ms": round(1000 * seconds, 2)}
        ACCESS.info("%s %s %d", method, path, status, extra={"fields": {**fields, "client": client}})


def new_id() -> str:
    """No secret: the system's own randomness is a call for which the interpreter's lock is given up."""
    return f"{random.getrandbits(128):032x}"


def _id_of(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER, "")
    return given if _TAKEN.fullmatch(given) else new_id()
