"""Requests and responses that never end: a connection whose client keeps the service waiting is closed."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.support.load import wait_for
from tests.service.support.serving import START, Service, serving

IDLE, REQUEST = "1", "3"  # seconds


@pytest.fixture(scope="module")
def impatient(indices: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service that waits one second for a byte and three for a request."""
    limits = ("--idle-timeout", IDLE, "--request-timeout", REQUEST)
    flags = ("--indices", str(indices), "--models", str(models), *limits)
    with serving(tmp_path_factory.mktemp("impatient"), flags) as service:
        yield service
        assert service.end() == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


def connect(service: Service) -> socket.socket:
    address = httpx.URL(service.url)
    return socket.create_connection((address.host, address.port or 80), timeout=START)


def until_closed(connection: socket.socket) -> bytes:
    """Return what arrives until the service closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nHost:", b"HTTP/1.1 408 "),
        (b"POST /search/images HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
         b"HTTP/1.1 408 "),
        (b"POST /search/images HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n\r\n", b"HTTP/1.1 408 "),
        (b"POST /search/images HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n{", b"HTTP/1.1 413 "),
    ],
)  # fmt: skip
def test_a_request_that_never_ends_is_ended(impatient: Service, sent: bytes, status: bytes) -> None:
    with connect(impatient) as connection:
        connection.sendall(sent)
        received = until_closed(connection)
    assert received.startswith(status)
    assert bool(received) == bool(status)


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nX: ", b"POST /embed HTTP/1.1\r\nContent-Length: 9999\r\n\r\n"])
def test_clients_that_send_single_bytes_are_disconnected(impatient: Service, start: bytes) -> None:
    with connect(impatient) as connection:
        connection.sendall(start)
        connection.settimeout(0.3)
        end = time.monotonic() + START
        while time.monotonic() < end:
            try:
                connection.sendall(b"x")
                if not connection.recv(4096):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    raise AssertionError("it was never ended")


def test_a_client_that_never_reads_is_ended(impatient: Service) -> None:
    descriptors = Path(f"/proc/{impatient.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    with connect(impatient) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        wait_for(lambda: len(list(descriptors.iterdir())) > before, "accept the connection")
        wait_for(lambda: len(list(descriptors.iterdir())) <= before, "close the connection")


def test_a_slow_client_that_keeps_sending_is_served(impatient: Service) -> None:
    body = b'{"q": "fox"}'
    head = b"POST /search/images HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with connect(impatient) as connection:
        for part in (head, b"Content-Length: %d\r\n\r\n" % len(body), body[:5], body[5:]):
            connection.sendall(part)
            with contextlib.suppress(TimeoutError):
                connection.settimeout(0.2)
                connection.recv(1, socket.MSG_PEEK)
        connection.settimeout(START)
        assert until_closed(connection).startswith(b"HTTP/1.1 200 ")
