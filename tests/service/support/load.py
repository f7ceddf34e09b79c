"""Clients that send requests all the time, and the service's own counters."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.service.support.serving import START, Service


def counter(service: Service, name: str, **labels: str) -> float:
    """Return a counter of `/metrics`; 0 if it was never incremented."""
    wanted = "".join(rf'(?=[^}}]*\b{label}="{re.escape(value)}")' for label, value in labels.items())
    match = re.search(
        rf"^{name}(?:{{{wanted}[^}}]*}})? (\S+)$" if labels else rf"^{name} (\S+)$", service.get("/metrics").text, re.M
    )
    return float(match[1]) if match else 0.0


def wait_for(met: Callable[[], bool], what: str) -> None:
    """Wait until a condition is met; `what` describes it in the error."""
    end = time.monotonic() + START
    while not met():
        assert time.monotonic() < end, f"within {START:.0f} seconds it did not {what}"
        time.sleep(0.02)


@dataclass
class Load:
    """The outcome for clients: the status of each request, or its error."""

    statuses: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: int = 0  # connections, before any request
    versions: set[str] = field(default_factory=set)


@contextmanager
def under_load(url: str, clients: int, parameters: Callable[[int], dict[str, str]]) -> Iterator[Load]:
    """Let clients send `GET url` over and over, each on its own connection, without a pause."""
    load, stop, lock = Load(), threading.Event(), threading.Lock()
    numbers = iter(range(10**9))

    def ask() -> None:
        with httpx.Client(timeout=START) as client:
            while not stop.is_set():
                with lock:
                    number = next(numbers)
                try:
                    response = client.get(url, params=parameters(number))
                except httpx.ConnectError:
                    with lock:
                        load.refused += 1
                    return
                except httpx.HTTPError as error:
                    load.broken.append(repr(error))
                else:
                    load.statuses.append(response.status_code)
                    if response.status_code == 200:
                        load.versions.add(response.json()["version"])

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join(START)
