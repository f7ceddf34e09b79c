"""A request's method and path, normalized before it is routed."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class NormalizePath:
    """ASGI middleware that routes HEAD as GET, and several slashes at the start of a path as one.

    clip-retrieval's page requests `//metadata`. uvicorn sends no body in response to HEAD (RFC 9110, 9.3.2), which it
    knows from its own scope; that stays unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with the normalized scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = {**scope, "path": "/" + scope["path"].lstrip("/")}
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
        try:
            await self._app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")  # for the request log, which is further out
