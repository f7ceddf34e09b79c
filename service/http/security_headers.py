"""The headers that tell a browser what it may do with a response."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# For data and pictures, which load nothing; the page and /docs set their own.
_LOAD_NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # the URL contains the search
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", _LOAD_NOTHING),
]


class SecurityHeaders:
    """ASGI middleware that adds headers to each response that does not have them."""

    def __init__(self, app: ASGIApp, *, shared: bool, private: bool) -> None:
        """Let pages of other origins embed responses if `shared`; keep shared caches from storing them if `private`."""
        self._app = app
        self._private = private
        self._headers = [*ALWAYS, (b"cross-origin-resource-policy", b"cross-origin" if shared else b"same-origin")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a `send` that adds the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in self._headers if header[0] not in names),
                ]
                if self._private and b"cache-control" in names:
                    headers = MutableHeaders(scope=message)
                    headers["Cache-Control"] = headers["Cache-Control"].replace("public", "private")
            await send(message)

        await self._app(scope, receive, send_with_headers)
