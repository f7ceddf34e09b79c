"""The last answers of a process that was told to end: each asks its client to go elsewhere with the next request."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Draining:
    """ASGI middleware around everything else. A connection that is kept could be closed just as a request comes in on
    it; one whose answer said `Connection: close` is not used again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._leaving = False

    def leave(self) -> None:
        self._leaving = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and self._leaving:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)
