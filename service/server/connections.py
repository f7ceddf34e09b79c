"""How many connections a process keeps, and how long a client may take to send a request or to read its response.

Connections cost a file descriptor each, and without descriptors nothing can be reloaded, taken down or checked. So
there are always fewer connections than descriptors, and those that wait for their client make room for others.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_RESERVE = 256  # descriptors for versions that are opened, object stores and logs
_AT_ONCE = 20  # one in so many connections is closed to make room: looking for them takes time
_FEWEST = 16


@dataclass(frozen=True)
class Limits:
    """Connections at most, and seconds: without a byte, and for a whole request."""

    connections: int
    idle: float
    request: float


class Connection(Protocol):
    """One connection, as far as it can be ended."""

    @property
    def waits_for_client(self) -> bool:
        """Whether its request is still to come, or to be completed."""

    @property
    def is_in_request(self) -> bool:
        """Whether a request has begun and is not answered."""

    @property
    def last_byte(self) -> float:
        """The time of the last byte that arrived."""

    def abort(self) -> None:
        """Close it at once."""


def make_room(connections: Iterable[Connection], limits: Limits) -> bool:
    """Close the connections that have waited longest for their client; return False if none waits."""
    waiting = [connection for connection in connections if connection.waits_for_client]
    waiting.sort(key=lambda connection: (connection.is_in_request, connection.last_byte))
    for connection in waiting[: max(1, limits.connections // _AT_ONCE)]:
        connection.abort()
    return bool(waiting)


def most_connections(wanted: int) -> int:
    """Return how many connections fit below this process's limit of open files, at most `wanted`.

    The limit is raised first, as far as the system allows. Call it when all files of the start are open.
    """
    is_open = _open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + is_open + _RESERVE
    if resource.RLIM_INFINITY != soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return wanted
    available = soft - is_open
    return max(_FEWEST, min(wanted, available - min(_RESERVE, available // 2)))


def _open_files() -> int:
    descriptors = Path("/proc/self/fd")
    return len(list(descriptors.iterdir())) if descriptors.is_dir() else _RESERVE
