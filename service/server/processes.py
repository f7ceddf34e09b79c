"""Several processes that answer on one socket, and the one that starts them, watches them and ends them.

Each has the models in memory of its own; the files of the collections, which are mapped, are in memory once.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from promptsearch.errors import StartError

from ..settings import Settings

log = logging.getLogger(__name__)

Work = Callable[[Settings, socket.socket, Connection], None]

_LOOK = 0.2  # seconds


@dataclass
class _Worker:
    process: SpawnProcess
    told: Connection  # where it says that it serves


class Processes:
    """`work` serves on the socket in a process of its own, until SIGTERM; it is a function of a module, and sends
    something on the connection when it has begun to serve. Call `run` at once."""

    def __init__(self, settings: Settings, listening: socket.socket, work: Work) -> None:
        self._listening = listening
        self._settings = settings
        self._work = work
        self._workers = [self._start_one() for _ in range(settings.workers)]
        self._ending = False

    def run(self, serving: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT, and all have ended; `serving` is called once each of them serves.

        One that ends by itself is started again. Raises StartError where one does so before it has served.
        """
        for ends in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ends, self._end)
        signal.signal(signal.SIGHUP, lambda *_: self._tell(signal.SIGHUP))
        try:
            self._await_start()
            if not self._ending:
                serving()
            while not self._ending:
                self._restart_the_dead()
        finally:
            self._listening.close()  # so that the last of them can empty what waits on it
            self._tell(signal.SIGTERM)
            for worker in self._workers:
                worker.process.join()

    def _start_one(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a copy of a process with threads may hold their locks for ever
        told, tells = context.Pipe(duplex=False)
        process = context.Process(target=self._work, args=(self._settings, self._listening, tells))
        process.start()
        tells.close()  # the process's own is left, and ends with it
        return _Worker(process, told)

    def _await_start(self) -> None:
        waiting = list(self._workers)
        while waiting and not self._ending:
            wait([worker.told for worker in waiting], _LOOK)
            for worker in list(waiting):
                if worker.told.poll():
                    try:
                        worker.told.recv_bytes()
                    except EOFError:
                        raise StartError("one of the processes could not start; what it said stands above") from None
                    waiting.remove(worker)

    def _restart_the_dead(self) -> None:
        wait([worker.process.sentinel for worker in self._workers], _LOOK)
        for number, worker in enumerate(self._workers):
            if not self._ending and not worker.process.is_alive():
                log.error("process %s ended with %s; another is started", worker.process.pid, worker.process.exitcode)
                self._workers[number] = self._start_one()

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process.is_alive() and worker.process.pid is not None:
                os.kill(worker.process.pid, number)

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._ending = True
