"""uvicorn's HTTP protocol with limits on a request's head and time, and with responses that need no application."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import cast

from fastapi.responses import JSONResponse
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from promptsearch.errors import Overloaded

from ..access.shedding import SHEDDING, Shedding
from ..http.problems import problem, problem_response
from ..http.security_headers import ALWAYS
from ..ops.request_log import HEADER as REQUEST_ID_HEADER
from ..ops.request_log import new_id
from .connections import Limits, make_room

_NEW = 3.0  # seconds that the first request of a connection may take on a busy machine
MAX_HEAD = 65_535  # bytes of request line and headers; httptools cannot parse a longer URL


class State(ServerState):
    """What all connections of a process share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits


class Protocol(HttpToolsProtocol):
    """One connection. httptools has no limit of its own: it would buffer a header that never ends."""

    last_byte = 0.0  # times of the event loop: of the last byte that arrived,
    _began = 0.0  # of the begin of the request, or of the connection before its first,
    _moved = 0.0  # and of the last change of what is left to be sent
    _unsent = 0  # bytes
    _is_due = True  # whether a request, or the rest of it, has to arrive
    _running: RequestResponseCycle | None = None  # the request whose handler runs
    _head = 0  # bytes of the head so far
    _in_head = False
    _refused = False

    @property
    def _limits(self) -> Limits:
        return cast("State", self.server_state).limits

    @property
    def _is_computing(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_in_request(self) -> bool:
        """Return whether a request has begun and is not answered."""
        return self._in_head or self._is_computing

    @property
    def is_new(self) -> bool:
        """Return whether the connection was made a moment ago and its first request has not arrived yet."""
        nothing_came = self._is_due and self._running is None and not self._in_head
        return nothing_came and self.loop.time() - self._began < _NEW

    @property
    def waits_for_client(self) -> bool:
        """Return whether a request is still to come, or to be completed."""
        return self._is_due or not self.is_in_request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it if there are too many and each works on a request."""
        others = self.connections.copy() if len(self.connections) >= self._limits.connections else None
        super().connection_made(transport)
        self.last_byte = self._began = self._moved = self.loop.time()
        if others is not None and not make_room(cast("set[Protocol]", others), self._limits):
            self._send(problem_response(Overloaded("the service has too many connections: try again in 1 s", 1)))
            self.transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._disconnect()
        self.transport.abort()

    def end_if_late(self, now: float) -> None:
        """Close the connection if its client takes too long to send its request, or to read a response."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._moved = unsent, now
        elif now - self._moved > self._limits.request:
            self.abort()
        if self.flow.read_paused:  # this process has enough for now
            self.last_byte = now
        if self._in_head and self._is_computing:  # of a client that sends the next request before it has the response
            self._began = self.last_byte = now
        if self._is_due and (now - self.last_byte > self._limits.idle or now - self._began > self._limits.request):
            self._time_out()

    def _disconnect(self) -> None:
        """Tell the handler, which may wait for a body or for room to send, before it sends to a closed connection."""
        for cycle in (self._running, self.cycle):  # the last one may wait for the one before it
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()

    def _time_out(self) -> None:
        if self._in_head or (self.cycle is not None and not self.cycle.response_started):
            detail = "the request did not arrive in time: send it again"
            self._send(problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail, {"Connection": "close"}))
            self._disconnect()
            self.transport.close()
        else:  # nothing was sent, or it is answered already
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handler that runs; uvicorn tells that of the last request only, which may not have begun."""
        if self._running is not None and not self._running.response_complete:
            self._disconnect()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; refuse a head that is too long."""
        self.last_byte = self.loop.time()
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Count the head of a new request from zero."""
        super().on_message_begin()
        self._head, self._in_head = 0, True
        self._began, self._is_due = self.last_byte, True

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
        self._is_due = False
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
