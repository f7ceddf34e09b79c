"""Each request gets an id, a log line and its place in the metrics, and a bug in it gets a response."""

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

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")  # a client's or proxy's id that is safe in a log
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestLog:
    """The outermost ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and record its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _id_of(scope)
        REQUEST_ID.set(id)  # each request is a task with its own context
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = id
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            response = problems.internal_error(Request(scope), error, id)
            if not status:  # else the response is half sent, and the connection is closed
                await response(scope, receive, send_with_id)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method, path = scope["method"], scope["path"]
        # The route's template: a path or method that a client invents must not become a time series.
        route = getattr(scope.get("route"), "path", UNKNOWN)
        method_label = method if method in _METHODS else UNKNOWN
        self._metrics.requests.labels(method_label, route, str(status)).inc()
        self._metrics.request_duration.labels(route).observe(seconds)
        client = scope["client"][0] if scope["client"] else None
        # Without the query: searches are private.
        fields = {"method": method, "path": path, "route": route, "status": status, "ms": round(1000 * seconds, 2)}
        ACCESS.info("%s %s %d", method, path, status, extra={"fields": {**fields, "client": client}})


def new_id() -> str:
    """Return a request id. It is no secret: the system's random source is a call that releases the GIL."""
    return f"{random.getrandbits(128):032x}"


def _id_of(scope: Scope) -> str:
    sent = Headers(scope=scope).get(HEADER, "")
    return sent if _VALID_ID.fullmatch(sent) else new_id()
