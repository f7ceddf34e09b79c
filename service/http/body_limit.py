"""The largest request body, by its content type: refused by its declared length, else counted as it arrives."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promptsearch.errors import PictureTooLarge, QueryError, RequestTooLarge

from .json_body import json_too_large, outside_base64
from .problems import problem_response

_FORM = "application/x-www-form-urlencoded"
_UPLOAD = "multipart/form-data"
_JSON = "application/json"
_ALWAYS_JSON = ("/knn-service", "/metadata")  # see service/api/routes/clip_retrieval.py


class BodyLimit:
    """ASGI middleware that raises PictureTooLarge or RequestTooLarge in the handler that reads too large a body.

    A picture is the only thing that needs more than `max_json_bytes`: as a file of a form, or as base64 in JSON.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_json_bytes: int) -> None:
        self._app = app
        self._max = max_bytes
        self._max_json = max_json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a `receive` that counts; refuse a body that is declared to be too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["path"] in _ALWAYS_JSON:
            media_type = _JSON
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (error := self._too_large(media_type, int(declared), 0)):
            await problem_response(error)(scope, receive, send)
            return
        await self._app(scope, self._limited(media_type, receive), send)

    def _limited(self, media_type: str, receive: Receive) -> Receive:
        received = json_bytes = 0

        async def receive_limited() -> Message:
            nonlocal received, json_bytes
            message = await receive()
            body = message.get("body", b"")
            received += len(body)
            json_bytes += 0 if media_type in (_UPLOAD, _FORM) else outside_base64(body)
            if error := self._too_large(media_type, received, json_bytes):
                # uvicorn drops the rest, so that a client that sends everything first still gets the response.
                raise error
            return message

        return receive_limited

    def _too_large(self, media_type: str, received: int, json_bytes: int) -> QueryError | None:
        if received > self._max:
            return PictureTooLarge(
                f"the request body must be at most {self._max:,} bytes: send smaller pictures or fewer terms"
            )
        if json_bytes > self._max_json or (media_type == _FORM and received > self._max_json):
            return RequestTooLarge(json_too_large(self._max_json))
        return None
