"""The headers that tell a browser what it may do with an answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# For data and pictures, which load nothing. The page and /docs say what they need instead.
_NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # the address has what was searched for
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", _NOTHING),
]


class SecurityHeaders:
    """ASGI middleware that adds to each answer the headers that it does not have yet.

    `shared`: pages of other origins may show what this service sends. `private`: what one client may see is not for
    another's eyes, so that only the browser itself may keep answers, and no cache between.
    """

    def __init__(self, app: ASGIApp, *, shared: bool, private: bool) -> None:
        self._app = app
        self._private = private
        self._headers = [*ALWAYS, (b"cross-origin-resource-policy", b"cross-origin" if shared else b"same-origin")]

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
