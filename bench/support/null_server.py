"""A server that answers every request at once with the same bytes, which leaves the cost of the load generator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import cast

import uvloop


@contextmanager
def null_server(body: bytes) -> Iterator[int]:
    """Start the server in a separate process; yield its port on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = get_context("spawn").Process(target=_serve, args=(listening, body), daemon=True)
        process.start()
        port = listening.getsockname()[1]
        try:
            yield port
        finally:
            process.terminate()
            process.join()


def _serve(listening: socket.socket, body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Protocol(head + body), sock=listening)
        await server.serve_forever()

    uvloop.run(forever())


class _Protocol(asyncio.Protocol):
    """Answers requests without a body, each of which arrives in one piece."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not inherit from it

    def data_received(self, _data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(self._answer)
