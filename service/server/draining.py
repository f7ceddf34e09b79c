"""The last responses of a process that is stopping: each makes its client reconnect elsewhere."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Draining:
    """ASGI middleware around everything else.

    A kept connection could be closed just as a request arrives on it; after a response with `Connection: close` no
    client uses it again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._started = False

    def start(self) -> None:
        """Send `Connection: close` from now on."""
        self._started = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a `send` that adds the header."""

        async def send_with_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._started:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_with_close if scope["type"] == "http" else send)
