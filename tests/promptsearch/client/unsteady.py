"""A web server that refuses some requests first, as a proxy in front of a service may."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

ANSWER = {"collection": "c", "version": "v", "took_ms": 1.0, "results": [], "next": None, "notes": []}
Refusal = tuple[int, str | None, str] | Literal["reset"]  # status, Retry-After, body; or a connection that breaks


class Unsteady(ThreadingHTTPServer):
    """Answers with these refusals, one a request, and then every request with ANSWER."""

    daemon_threads = True

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals = [*refusals]
        self.requests: list[tuple[str, str | None, object]] = []  # path, Authorization, JSON

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Unsteady

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers["Authorization"], json.loads(body)))
        refusal: Refusal = self.server.refusals.pop(0) if self.server.refusals else (200, None, json.dumps(ANSWER))
        if refusal == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        status, after, text = refusal
        self.send_response(status)
        if after is not None:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass

    def finish(self) -> None:
        if not self.wfile.closed and self.connection.fileno() >= 0:
            super().finish()


@contextmanager
def refusing(*refusals: Refusal) -> Iterator[Unsteady]:
    server = Unsteady(refusals)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
