"""Several processes that serve one socket, and the one that starts, supervises and stops them.

Each process has its own copy of the models in memory; the mapped files of the collections are in memory once.

Not `uvicorn.supervisors.Multiprocess`: it runs `uvicorn.Server` itself rather than our subclass, does not report when
all processes serve, and restarts them on SIGHUP, which here means to look for new versions.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead

from promptsearch.errors import StartError

from ..ops.metrics import SHARED_FOLDER
from ..settings import Settings

log = logging.getLogger(__name__)

Serve = Callable[[Settings, socket.socket, Connection], None]

_POLL_INTERVAL = 0.2  # seconds


@dataclass
class _Worker:
    process: SpawnProcess
    ready: Connection  # from which something can be read once it serves


class Processes:
    """Runs `serve` in each of several processes until SIGTERM.

    `serve` is a function of a module. It sends something on its connection once it serves. Call `run` at once.
    """

    def __init__(self, settings: Settings, listening: socket.socket, serve: Serve) -> None:
        self._listening = listening
        self._settings = settings
        self._serve = serve
        self._metrics = tempfile.TemporaryDirectory(prefix="prompt-search-metrics-")
        os.environ[SHARED_FOLDER] = self._metrics.name  # the processes inherit it
        self._workers = [self._start_one() for _ in range(settings.workers)]
        self._stopping = False

    def run(self, on_ready: Callable[[], None]) -> None:
        """Run until SIGTERM or SIGINT, and until all have ended; call `on_ready` once all serve.

        A process that ends by itself is started again. Raises StartError if one ends before it has served.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self._send(signal.SIGHUP))
        try:
            self._await_start()
            if not self._stopping:
                on_ready()
            while not self._stopping:
                self._restart_ended()
        finally:
            self._listening.close()  # so that the last process can accept all that wait on it
            self._send(signal.SIGTERM)
            for worker in self._workers:
                worker.process.join()
            self._metrics.cleanup()

    def _start_one(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hold their locks for ever
        ready, sends = context.Pipe(duplex=False)
        process = context.Process(target=self._serve, args=(self._settings, self._listening, sends))
        process.start()
        sends.close()  # the process's own copy is left, and is closed when the process ends
        return _Worker(process, ready)

    def _await_start(self) -> None:
        starting = list(self._workers)
        while starting and not self._stopping:
            wait([worker.ready for worker in starting], _POLL_INTERVAL)
            for worker in list(starting):
                if worker.ready.poll():
                    try:
                        worker.ready.recv_bytes()
                    except EOFError:
                        raise StartError("a worker process could not start: see the error above") from None
                    starting.remove(worker)

    def _restart_ended(self) -> None:
        wait([worker.process.sentinel for worker in self._workers], _POLL_INTERVAL)
        for index, worker in enumerate(self._workers):
            process = worker.process
            if not self._stopping and not process.is_alive():
                log.error("process %s ended with %s; starting another", process.pid, process.exitcode)
                # Or its gauges would still count.
                mark_process_dead(process.pid, self._metrics.name)  # type: ignore[no-untyped-call]
                self._workers[index] = self._start_one()

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process.is_alive() and worker.process.pid is not None:
                os.kill(worker.process.pid, number)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True
