"""The largest request body, counted as it arrives, whatever its headers claim."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promptsearch.errors import PictureTooLarge


class BodyLimit:
    """ASGI middleware that raises PictureTooLarge in the handler that reads too large a body."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a `receive` that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max:
                # uvicorn drops the rest, so that a client that sends everything first still gets the response.
                raise PictureTooLarge(f"the request is larger than {self._max:,} bytes: send a smaller picture")
            return message

        await self._app(scope, receive_limited, send)
