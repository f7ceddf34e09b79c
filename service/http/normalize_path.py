"""What a request's method and path mean, before any route is asked."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Addresses:
    """ASGI middleware: HEAD is answered wherever GET is, and slashes before an address count once.

    clip-retrieval's page asks for `//metadata`. Of an answer to HEAD the server sends the head alone, as for every
    application (RFC 9110, 9.3.2): it looks at the scope that it made, which stays as it was.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = {**scope, "path": "/" + scope["path"].lstrip("/")}
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
        try:
            await self._app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")  # for the log and the metrics, which lie further out
