"""Send HTTP requests to a server at a chosen load and little cost: uvloop, httptools, prepared requests.

The generator runs in a separate process (`LoadGenerator`), which shares only the cores with the measuring process.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType
from typing import Any, cast

import httptools
import numpy as np
import uvloop
from numpy.typing import NDArray

BROKEN = 0  # the status of a request that has had no answer
PATIENCE = 60.0  # seconds after which an answer is given up


@dataclass(frozen=True)
class Load:
    """Requests to `127.0.0.1:port`."""

    port: int
    requests: Sequence[bytes]  # whole HTTP/1.1 requests, each sent once and in this order
    clients: int = 1  # connections, each sending the next request as soon as it has the answer
    rate: float | None = None  # requests a second instead, however many are under way
    seconds: float = 3600.0  # after which no more requests are sent
    keep: bool = False  # whether bodies are wanted


@dataclass(frozen=True)
class Outcome:
    """One entry for each request, as they ended."""

    started: NDArray[np.float64]  # seconds since the load began; at a rate: when the request was due
    ended: NDArray[np.float64]
    status: NDArray[np.int64]  # HTTP's, or BROKEN
    bodies: Sequence[bytes]
    seconds: float  # in which requests were sent

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Return the milliseconds of each request."""
        return 1000 * (self.ended - self.started)

    def rate(self, warm: float) -> float:
        """Return answers a second, counted between `warm` seconds and the last request."""
        answered = int(((self.ended >= warm) & (self.ended < self.seconds)).sum())
        assert answered, f"nothing was answered between {warm} and {self.seconds:.1f} s: measure for longer"
        return answered / (self.seconds - warm)


class LoadGenerator:
    """A process that generates one load after the other."""

    def __init__(self) -> None:
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._process.submit(_ready).result()

    def start(self, load: Load) -> Future[Outcome]:
        """Start a load; return its future outcome."""
        return self._process.submit(generate, load)

    def run(self, load: Load) -> Outcome:
        """Run a load to its end; return its outcome."""
        return self.start(load).result()

    def __enter__(self) -> LoadGenerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.shutdown()


def generate(load: Load) -> Outcome:
    """Send the requests of a load; return their outcome."""
    return uvloop.run(_Generating(load).run())


def _ready() -> None:
    """Do nothing: the result shows that the process runs."""


class _Generating:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._entries: list[tuple[float, float, int]] = []
        self._bodies: list[bytes] = []
        self._requests = iter(load.requests)
        self._begun = 0.0

    async def run(self) -> Outcome:
        self._begun = time.perf_counter()
        if self._load.rate is None:
            await asyncio.gather(*(self._client() for _ in range(self._load.clients)))
            last = max((started for started, _, _ in self._entries), default=0.0)
            seconds = min(self._load.seconds, last)
        else:
            seconds = await self._at_rate(self._load.rate)
        entries = np.array(self._entries, dtype=np.float64).reshape(-1, 3)
        return Outcome(entries[:, 0], entries[:, 1], entries[:, 2].astype(np.int64), self._bodies, seconds)

    def _now(self) -> float:
        return time.perf_counter() - self._begun

    async def _client(self) -> None:
        connection = _Connection(self._load.port)
        for request in self._requests:
            await self._ask(connection, request, self._now())
            if self._now() >= self._load.seconds:
                break
        connection.close()

    async def _at_rate(self, rate: float) -> float:
        """Send requests at random times (a Poisson process), as many independent clients do."""
        idle: deque[_Connection] = deque()
        pending: set[asyncio.Task[None]] = set()
        due = 0.0
        for due, request in zip(_arrivals(rate), self._requests, strict=False):
            if due >= self._load.seconds:
                break
            if due > self._now():
                await asyncio.sleep(due - self._now())
            connection = idle.pop() if idle else _Connection(self._load.port)
            task = asyncio.create_task(self._lend(idle, connection, self._ask(connection, request, due)))
            pending.add(task)
            task.add_done_callback(pending.discard)
        if pending:
            await asyncio.wait(pending)
        for connection in idle:
            connection.close()
        return min(due, self._load.seconds)

    async def _lend(self, idle: deque[_Connection], connection: _Connection, ask: Coroutine[Any, Any, None]) -> None:
        await ask
        idle.append(connection)

    async def _ask(self, connection: _Connection, request: bytes, started: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await connection.ask(request)
        except OSError:  # a timeout, too
            status, body = BROKEN, b""
            connection.close()
        self._entries.append((started, self._now(), status))
        if self._load.keep:
            self._bodies.append(body)


def _arrivals(rate: float) -> Iterator[float]:
    rng, at = random.Random(0), 0.0  # noqa: S311 - arrivals
    while True:
        at += rng.expovariate(rate)
        yield at


class _Connection(asyncio.Protocol):
    """A connection, kept for the next request if the server keeps it, else opened again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser: Any = None
        self._body: list[bytes] = []

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body; raises OSError if there is no answer."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        assert self._transport is not None
        self._answer, self._parser, self._body = loop.create_future(), httptools.HttpResponseParser(self), []
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not inherit from it

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("closed before the answer"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._body)))
