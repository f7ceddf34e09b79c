"""One process that serves: uvicorn, and how it begins and ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType

import uvicorn
from fastapi import FastAPI

from promptsearch.errors import PromptSearchError
from promptsearch.system.malloc import limit_arenas

from ..access.shedding import SHEDDING
from ..app import create_app
from ..catalogue.catalogue import Catalogue
from ..ops import logs
from ..settings import Settings
from .draining import Draining
from .protocol import Protocol

log = logging.getLogger(__name__)

# Connections taken in one round of the event loop by a process that is alone, and by one of several, where the others
# are to have their share. libuv takes one a round: where everyone comes with a new one, as many a second as there are
# rounds, and the kernel drops those that wait once they are too many.
_ACCEPTED, _ACCEPTED_BESIDE = 1024, 8
# Seconds that one thread runs Python before another may. The event loop waits so long whenever a worker is at it, and
# so does the thread that has a batch for ONNX Runtime; Python's own 5 ms are half a search.
_SWITCH = 0.0005
# Seconds that a connection may rest. What closes it must be the client, or the proxy, whose own limit is a minute or
# less: a request that is sent just as the service closes is lost.
KEEP_ALIVE = 75
LEAVE = 0.5  # seconds in which busy clients hear that they should connect elsewhere


class Server(uvicorn.Server):
    """uvicorn that says when it serves, looks for new versions at once on SIGHUP, and takes leave of its clients before
    it ends."""

    def __init__(self, app: FastAPI, copy: socket.socket, serving: Callable[[], None], *, alone: bool) -> None:
        self._app = app
        self._draining = Draining(app)
        self._serving = serving
        self._copy = copy
        self._accepted = _ACCEPTED if alone else _ACCEPTED_BESIDE
        self._opening: set[asyncio.Task[object]] = set()
        super().__init__(
            uvicorn.Config(
                self._draining,
                log_config=None,
                http=Protocol,
                ws="none",
                log_level="error",  # what uvicorn warns of is what clients sent
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=30,
                timeout_keep_alive=KEEP_ALIVE,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._copy, self._accept)
            loop.add_signal_handler(signal.SIGHUP, self._app.state.reloading.ask)
            self._serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections:
            self.lifespan.state[SHEDDING].stop()
            self._draining.leave()
            await asyncio.sleep(LEAVE)
        await self._stop_listening(sockets or [])
        if self.server_state.connections:
            await asyncio.sleep(LEAVE)
        await super().shutdown(sockets)

    def _accept(self) -> None:
        """Those that wait beside the one that libuv takes."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # there is none; or none can be taken, which libuv knows what to do about
            for _ in range(self._accepted):
                opening = loop.create_task(loop.connect_accepted_socket(self._protocol, self._copy.accept()[0]))
                self._opening.add(opening)
                opening.add_done_callback(self._opening.discard)

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Closing the last copy of a listening socket resets the connections that wait on it, and what was asked on
        them: so they are accepted first."""
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


def serve(settings: Settings, listening: socket.socket, serving: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is in flight and exit with 0; `serving` is called in between."""
    # uvicorn stops gracefully and then raises the signal once more: that one ends the process without an error.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    sys.setswitchinterval(_SWITCH)
    limit_arenas()
    app = create_app(settings, Catalogue.open(settings))
    with listening.dup() as copy:
        copy.setblocking(False)
        Server(app, copy, serving, alone=settings.workers == 1).run(sockets=[listening])


def serve_beside(settings: Settings, listening: socket.socket, told: Connection) -> None:
    """The same in one process of several, which says on `told` when it serves."""
    logs.configure()
    try:
        with listening:  # this process's own copy, which a start that fails has to close as well
            serve(settings, listening, lambda: told.send_bytes(b"serving"))
    except PromptSearchError as error:
        log.error("%s", error)  # noqa: TRY400  expected, and said in full
        sys.exit(1)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
