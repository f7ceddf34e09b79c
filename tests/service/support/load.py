"""Clients that ask all the time, and a reading of the service's own counters."""

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
    """One of `/metrics`; 0 where it was never counted."""
    wanted = "".join(rf'(?=[^}}]*\b{label}="{re.escape(value)}")' for label, value in labels.items())
    found = re.search(
        rf"^{name}(?:{{{wanted}[^}}]*}})? (\S+)$" if labels else rf"^{name} (\S+)$", service.get("/metrics").text, re.M
    )
    return float(found[1]) if found else 0.0


def wait_for(met: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + START
    while not met():
        assert time.monotonic() < end, f"in {START:.0f} seconds it did not come to {what}"
        time.sleep(0.02)


@dataclass
class Load:
    """What clients were answered: each request's status, or what broke instead."""

    statuses: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: int = 0  # connections: nothing was asked on them
    versions: set[str] = field(default_factory=set)


@contextmanager
def under_load(url: str, clients: int, parameters: Callable[[int], dict[str, str]]) -> Iterator[Load]:
    """Each client asks `GET url` over and over, the next as soon as it has been answered, on a connection it keeps."""
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
