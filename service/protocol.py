"""HTTP as uvicorn speaks it, with a limit on a request's head and a problem document for what is no request."""

from __future__ import annotations

import time
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import problem
from service.shedding import READ

MAX_HEAD = 65_535  # bytes of request line and headers; a longer address is one that httptools cannot read


class Protocol(HttpToolsProtocol):
    """httptools has no limit of its own: it would keep a header that never ends."""

    _head = 0  # bytes of the head so far
    _in_head = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][READ] = time.perf_counter()
        self._head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's own words say less
        answer = problem(
            HTTPStatus.BAD_REQUEST,
            "bad-request",
            f"this is no HTTP request, or its address and headers are longer than {MAX_HEAD:,} bytes: "
            "send a long query as JSON by POST",
        )
        head = [
            b"HTTP/1.1 400 Bad Request",
            *(b": ".join(header) for header in answer.raw_headers),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()
