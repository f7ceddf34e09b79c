"""The headers that tell a browser what it may do with an answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# For data and pictures, which load nothing. The page and /docs say what they need instead.
_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address has what was searched for
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": _NOTHING,
}


class SecurityHeaders:
    """ASGI middleware that adds to each answer the headers that it does not have yet.

    `shared`: pages of other origins may show what this service sends. `private`: what one client may see is not for
    another's eyes, so that only the browser itself may keep answers, and no cache between.
    """

    def __init__(self, app: ASGIApp, *, shared: bool, private: bool) -> None:
        self._app = app
        self._private = private
        headers = {**_ALWAYS, "Cross-Origin-Resource-Policy": "cross-origin" if shared else "same-origin"}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                has = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in self._headers if header[0] not in has),
                ]
                if self._private and b"cache-control" in has:
                    headers = MutableHeaders(scope=message)
                    headers["Cache-Control"] = headers["Cache-Control"].replace("public", "private")
            await send(message)

        await self._app(scope, receive, sending)
