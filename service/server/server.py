"""One serving process: uvicorn, its start and its graceful end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from promptsearch.errors import PromptSearchError
from promptsearch.system.malloc import limit_arenas

from ..access.shedding import SHEDDING
from ..app import create_app
from ..catalogue.catalogue import Catalogue
from ..ops import logs
from ..settings import Settings
from .connections import Limits, most_connections
from .draining import Draining
from .protocol import Protocol, State

log = logging.getLogger(__name__)

# Connections accepted in one round of the event loop by a process that is alone, and by one of several, which leaves
# the others their share. libuv accepts one per round: if every request opens a connection, that limits their rate, and
# the kernel drops those that wait once they are too many.
_ACCEPT_ALONE, _ACCEPT_SHARED = 1024, 8
# Seconds that one thread runs Python before another may. The event loop waits so long whenever a search thread is
# running, and so does the thread that has a batch for ONNX Runtime; Python's default of 5 ms is half a search.
_SWITCH_INTERVAL = 0.0005
# Seconds that an idle connection is kept. It must be closed by the client or the proxy, whose own limit is a minute or
# less: a request that is sent just as the service closes is lost.
KEEP_ALIVE = 75
_TICKS = 10  # of uvicorn's main loop in a second
_WAIT = 0.05  # seconds between two looks at new connections
DRAIN = 0.5  # seconds in which responses make busy clients reconnect elsewhere


class Server(uvicorn.Server):
    """uvicorn that reports when it serves, looks for new versions on SIGHUP, and drains its connections at its end."""

    def __init__(
        self, app: FastAPI, copy: socket.socket, on_ready: Callable[[], None], limits: Limits, *, alone: bool
    ) -> None:
        """Serve `app`; `copy` is a duplicate of the listening socket, and with `alone` no other process has one."""
        self._app = app
        self._draining = Draining(app)
        self._on_ready = on_ready
        self._copy = copy
        self._accept_at_once = _ACCEPT_ALONE if alone else _ACCEPT_SHARED
        self._opening: set[asyncio.Task[object]] = set()
        super().__init__(
            uvicorn.Config(
                self._draining,
                log_config=None,
                http=Protocol,
                ws="none",
                log_level="error",  # its warnings are about what clients sent
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=30,
                timeout_keep_alive=KEEP_ALIVE,
                # Only of proxies that are named. uvicorn's default believes every program of this machine.
                forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", ""),
            )
        )
        self._limits = limits
        self.server_state = State(limits)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, and report it."""
        await super().startup(sockets)
        if self.started:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._copy, self._accept)
            loop.add_signal_handler(signal.SIGHUP, self._app.state.reloader.refresh_now)
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """End connections whose clients take too long, once a second."""
        if counter % _TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in self.server_state.connections.copy():
                cast("Protocol", connection).end_if_late(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ask clients to reconnect, accept what still waits on the socket, and finish all requests."""
        if self.server_state.connections:
            self.lifespan.state[SHEDDING].stop()
            self._draining.start()
            await asyncio.sleep(DRAIN)
        await self._stop_listening(sockets or [])
        if self.server_state.connections:
            await asyncio.sleep(DRAIN)
        while any(cast("Protocol", connection).is_new for connection in self.server_state.connections):
            await asyncio.sleep(_WAIT)  # closed now, the connection would lose the request that is on its way
        await super().shutdown(sockets)

    def _accept(self) -> None:
        """Accept the connections that wait besides the one that libuv accepts."""
        loop = asyncio.get_running_loop()
        room = self._limits.connections - len(self.server_state.connections) - len(self._opening)
        with suppress(OSError):  # none waits; or none can be accepted, which libuv handles
            for _ in range(min(self._accept_at_once, max(1, room))):
                opening = loop.create_task(loop.connect_accepted_socket(self._protocol, self._copy.accept()[0]))
                self._opening.add(opening)
                opening.add_done_callback(self._opening.discard)

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Accept what waits before closing: closing the last copy of a socket resets the connections that wait."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._copy)
        for server in self.servers:
            server.close()
        for listening in sockets:
            listening.close()
        with suppress(BlockingIOError):
            while True:
                await loop.connect_accepted_socket(self._protocol, self._copy.accept()[0])
        self._copy.close()

    def _protocol(self) -> Protocol:
        return Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def serve(settings: Settings, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish all requests and exit with 0; `on_ready` is called once it serves."""
    # uvicorn stops gracefully and then raises the signal again; the handler makes that a clean exit.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    limit_arenas()
    app = create_app(settings, Catalogue.open(settings))
    with listening.dup() as copy:
        copy.setblocking(False)
        limits = Limits(
            most_connections(settings.max_connections), settings.idle_timeout, settings.request_timeout
        )  # fmt: skip
        Server(app, copy, on_ready, limits, alone=settings.workers == 1).run(sockets=[listening])


def serve_as_worker(settings: Settings, listening: socket.socket, ready: Connection) -> None:
    """Serve as one process of several; send something on `ready` once it serves."""
    logs.configure()
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    try:
        with listening:  # the process's own copy, which must also be closed if the start fails
            serve(settings, listening, lambda: ready.send_bytes(b"serving"))
    except PromptSearchError as error:
        log.error("%s", error)  # noqa: TRY400  expected, and its message is complete
        sys.exit(1)


def _end_with_parent() -> None:
    """End this process like SIGTERM does once its parent has ended: the parent may have been killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
