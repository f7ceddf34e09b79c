"""uvicorn's HTTP protocol with a limit on a request's head, and with responses that need no application."""

from __future__ import annotations

from http import HTTPStatus

from fastapi.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..access.shedding import SHEDDING, Shedding
from ..http.problems import problem
from ..http.security_headers import ALWAYS
from ..ops.request_log import HEADER as REQUEST_ID_HEADER
from ..ops.request_log import new_id

MAX_HEAD = 65_535  # bytes of request line and headers; httptools cannot parse a longer URL


class Protocol(HttpToolsProtocol):
    """One connection. httptools has no limit of its own: it would buffer a header that never ends."""

    _head = 0  # bytes of the head so far
    _in_head = False
    _refused = False

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; refuse a head that is too long."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Count the head of a new request from zero."""
        super().on_message_begin()
        self._head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        """Pass a request to the application, unless load shedding refuses it."""
        self._in_head = False
        shedding: Shedding | None = self.app_state.get(SHEDDING)
        refusal = None
        if shedding and self.parser.get_method() == b"GET" and (self.cycle is None or self.cycle.response_complete):
            refusal = shedding.refusal(self.url, self.headers)
        if refusal is not None:
            self._refused = True
            self._send(refusal)
            return
        super().on_headers_complete()
        if shedding:
            shedding.pass_on()

    def on_message_complete(self) -> None:
        """Finish a request; after a refused one, the connection is free for the next."""
        if not self._refused:
            super().on_message_complete()
            return
        self._refused = False
        if self.parser.should_keep_alive():
            self.on_response_complete()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's message has less detail
        """Refuse what is not an HTTP request, and close the connection."""
        response = problem(
            HTTPStatus.BAD_REQUEST,
            "bad-request",
            f"this is not an HTTP request, or its URL and headers are longer than {MAX_HEAD:,} bytes: "
            "send a long query as JSON by POST",
            {"Connection": "close"},
        )
        self._send(response)
        self.transport.close()

    def _send(self, response: JSONResponse) -> None:
        """Send a response with the headers that the application's middleware would add."""
        status = HTTPStatus(response.status_code)
        headers = [*self.server_state.default_headers, *response.raw_headers, *ALWAYS]
        headers.append((REQUEST_ID_HEADER.encode(), new_id().encode()))
        head = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), *map(b": ".join, headers)]
        self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
