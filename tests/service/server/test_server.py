"""The running process: its imports, its end, and many requests at once."""

from __future__ import annotations

import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer
from tests.support.drawing import as_bytes, picture

FORBIDDEN = {"torch", "torchvision", "clip", "autofaiss", "onnx", "pandas", "pyarrow", "builder"}
PNG = as_bytes(picture(5))


def requests_of(service: Service) -> list[tuple[str, str, dict[str, Any]]]:
    """Return one request of every kind: method, address, and how httpx is to send it."""
    results = service.get("/search/images", q="fox").json()["results"]
    image = next(result for result in results if result["prompt"])
    id, prompt = image["id"], image["prompt"]["id"]
    cursor = service.get("/search/images", q="fox", limit=1).json()["next"]
    return [
        ("GET", "/search/images?q=fox", {}),
        ("GET", "/search/prompts?q=a+broken+clock", {}),
        ("GET", f"/search/images?cursor={cursor}", {}),
        ("POST", "/search/images", {"files": {"image": PNG}}),
        ("POST", "/search/prompts", {"files": {"image": PNG}, "data": {"q": "fox"}}),
        ("POST", "/search/images", {"json": {"q": "words", "limit": 2}}),
        ("POST", "/search/images", {"files": {"image": b"no picture"}}),
        ("GET", f"/images/{id}", {}),
        ("GET", f"/images/{id}/similar", {}),
        ("GET", f"/images/{id}/file", {}),
        ("GET", f"/images/{id}/thumbnail", {}),
        ("GET", f"/prompts/{prompt}", {}),
        ("GET", f"/prompts/{prompt}/similar", {}),
        ("GET", "/images/unknown", {}),
        ("GET", "/search/images?limit=0", {}),
        ("GET", "/collections", {}),
        ("GET", "/collections/tiny", {}),
        ("GET", "/readyz", {}),
        ("GET", "/openapi.json", {}),
        ("GET", "/docs", {}),
        ("GET", "/", {}),
    ]


def ask(client: httpx.Client, url: str, request: tuple[str, str, dict[str, Any]]) -> tuple[int, bytes]:
    """Send a request; return status and body, without the time it took."""
    method, path, options = request
    response = client.request(method, url + path, timeout=START, **options)
    return response.status_code, re.sub(rb'"took_ms":[\d.]+', b"", response.content)


@pytest.fixture
def flags(indices: Path, models: Path, source_folder: Path) -> list[str]:
    return ["--indices", str(indices), "--models", str(models), "--files", f"tiny={source_folder}"]


@pytest.mark.slow
def test_the_service_never_loads_the_builder(flags: list[str], tmp_path: Path) -> None:
    """Python itself lists every module that it imports, then and later; the kernel lists every library."""
    with serving(tmp_path, flags, python=("-X", "importtime")) as service:
        with httpx.Client() as client:
            statuses = {ask(client, service.url, request)[0] for request in requests_of(service)}
        assert statuses == {200, 400, 404, 415}
        mapped = Path(f"/proc/{service.process.pid}/maps").read_text(encoding="utf-8")
        assert service.end() == 0
    listed = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", service.stderr.read_text("utf-8"), re.MULTILINE)
    modules = {name.partition(".")[0] for name in listed}
    assert modules >= {"faiss", "numpy", "onnxruntime", "PIL", "fastapi", "tokenizers", "uvicorn"}
    assert not modules & FORBIDDEN
    assert "onnxruntime" in mapped
    assert not re.search(r"/(lib)?(torch|c10|arrow)[^/]*$|/(torch|pandas|pyarrow|autofaiss)/", mapped, re.MULTILINE)


def begun_upload(url: str) -> tuple[socket.socket, bytes]:
    """Return a connection on which the service waits for a body, and that body.

    httpx cannot stop here: the service answers "100 Continue" when a handler begins to read the body.
    """
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + PNG + b"\r\n--x--\r\n"
    address = httpx.URL(url)
    connection = socket.create_connection((address.host, address.port or 80), timeout=START)
    connection.sendall(
        b"POST /search/images HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection, body


def wait_until_not_listening(url: str) -> None:
    """Wait until the service accepts no new connection."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        try:
            httpx.get(f"{url}/healthz", timeout=START)
        except httpx.ConnectError:
            return
        time.sleep(0.02)
    raise AssertionError("the service still takes connections")


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_after_requests_in_flight(
    flags: list[str], tmp_path: Path, by: signal.Signals
) -> None:
    with serving(tmp_path, flags) as service:
        connection, body = begun_upload(service.url)
        with connection:
            service.process.send_signal(by)
            wait_until_not_listening(service.url)
            assert service.process.poll() is None
            connection.sendall(body)
            with connection.makefile("rb") as answer:
                received = answer.read()
        assert service.process.wait(START) == 0
        assert service.stderr.read_text(encoding="utf-8") == ""
    head, _, content = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    check_answer(httpx.Response(200, headers={"content-type": "application/json"}, content=content), "images")


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_service_whose_clients_stay_connected(
    flags: list[str], tmp_path: Path, by: signal.Signals
) -> None:
    with serving(tmp_path, flags) as service, httpx.Client() as client:
        client.get(f"{service.url}/healthz")  # and keeps its connection open, longer than a service is waited for
        assert service.end(by) == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


def test_concurrent_answers_equal_sequential_ones(server: Service) -> None:
    requests = requests_of(server)
    with httpx.Client() as client:
        expected = [ask(client, server.url, request) for request in requests]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda request: ask(client, server.url, request), requests * 12))
    assert answers == expected * 12


def test_the_service_survives_aborted_uploads(server: Service) -> None:
    for _ in range(5):
        connection, body = begun_upload(server.url)
        connection.sendall(body[:100])
        connection.close()
    check_answer(server.get("/search/images", q="fox"), "images")
