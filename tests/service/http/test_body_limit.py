"""A service with small limits refuses larger inputs of every form, and keeps running."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptsearch.storage.manifest import KINDS, Kind
from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

MAX_BYTES, MAX_PIXELS = 50_000, 6400
SMALL = as_bytes(picture(1, 80, 80))
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'


@pytest.fixture(scope="module")
def strict(indices: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = ("--max-upload-bytes", str(MAX_BYTES), "--max-pixels", str(MAX_PIXELS))
    flags = ("--indices", str(indices), "--models", str(models), *limits)
    with serving(tmp_path_factory.mktemp("strict"), flags) as service:
        yield service
        assert service.end() == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


def form_of(size: int) -> bytes:
    """Return a form of `size` bytes with a picture in it, whose end is padded."""
    tail = b"\r\n--x--\r\n"
    return HEAD + SMALL.ljust(size - len(HEAD) - len(tail), b"\0") + tail


def peak_memory(service: Service) -> int:
    """Return the most memory that a service has used, in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text(encoding="ascii")
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return 1024 * int(kilobytes)


def in_pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_just_the_limit_is_taken_and_one_more_byte_is_not(strict: Service, kind: Kind, chunked: bool) -> None:
    url = f"{strict.url}/search/{kind}"
    fits, larger = form_of(MAX_BYTES), form_of(MAX_BYTES + 1)
    check_answer(httpx.post(url, content=in_pieces(fits) if chunked else fits, headers=FORM), kind)
    response = httpx.post(url, content=in_pieces(larger) if chunked else larger, headers=FORM)
    detail = check_problem(response, 413, "picture-too-large")
    assert detail == "the request body must be at most 50,000 bytes: send smaller pictures or fewer terms"


@pytest.mark.parametrize("times", [1.5, 10])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("content_type", "start"),
    [(FORM["Content-Type"], HEAD), ("application/json", b'{"q": "'), ("application/x-www-form-urlencoded", b"q=")],
)
def test_every_kind_of_body_is_limited(
    strict: Service, content_type: str, start: bytes, chunked: bool, times: float
) -> None:
    content = start.ljust(int(MAX_BYTES * times), b"x")
    response = httpx.post(
        f"{strict.url}/search/images",
        content=in_pieces(content) if chunked else content,
        headers={"Content-Type": content_type},
        timeout=START,
    )
    check_problem(response, 413, "picture-too-large")


def test_far_larger_bodies_are_not_kept_in_memory(strict: Service) -> None:
    """A client that sends everything before it reads gets the refusal as well, and costs no memory."""
    before = peak_memory(strict)
    content = (bytes(2**20) for _ in range(300))
    response = httpx.post(f"{strict.url}/search/images", content=content, headers=FORM, timeout=START)
    check_problem(response, 413, "picture-too-large")
    assert peak_memory(strict) < before + 50 * 2**20


def test_too_many_pixels(strict: Service) -> None:
    check_answer(httpx.post(f"{strict.url}/search/images", files={"image": as_bytes(picture(1, 80, 80))}), "images")
    wide = as_bytes(picture(1, 81, 80))
    for response in (
        httpx.post(f"{strict.url}/search/images", files={"image": wide}),
        httpx.post(f"{strict.url}/search/prompts", json={"image": base64.b64encode(wide).decode()}),
    ):
        detail = check_problem(response, 413, "picture-too-large")
        assert detail == "the picture has 81 x 80 pixels, the limit is 6,400 in all: send a smaller picture"


def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(server: Service) -> None:
    """The picture is a decompression bomb: 30 KB that would be 300 MB, above the default limit of 50 million pixels."""
    bomb = as_bytes(picture(1, 1, 1).resize((10_000, 10_000)))
    assert len(bomb) < 1_000_000
    response = httpx.post(f"{server.url}/search/images", files={"image": bomb}, timeout=START)
    check_problem(response, 413, "picture-too-large")


def test_a_head_that_never_ends_is_refused_and_costs_no_memory(strict: Service) -> None:
    before = peak_memory(strict)
    address = httpx.URL(strict.url)
    with socket.create_connection((address.host, address.port or 80), timeout=START) as connection:
        with contextlib.suppress(ConnectionError):  # it hangs up while more is sent
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Long: ")
            for _ in range(300):
                connection.sendall(b"x" * 2**20)
        with contextlib.suppress(ConnectionError):
            connection.recv(1)
    assert peak_memory(strict) < before + 50 * 2**20
    assert strict.get("/healthz").status_code == 200


def test_a_long_url_is_refused_with_a_remedy(strict: Service) -> None:
    detail = check_problem(strict.raw("/search/images?q=" + "x" * 70_000), 400, "bad-request")
    assert "send a long query as JSON by POST" in detail


def test_invalid_http_is_refused_and_not_logged(strict: Service) -> None:
    address = httpx.URL(strict.url)
    with socket.create_connection((address.host, address.port or 80), timeout=START) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["type"] == "urn:prompt-search:bad-request"


def test_the_service_answers_after_many_refusals(strict: Service) -> None:
    for _ in range(20):
        check_problem(
            httpx.post(f"{strict.url}/search/images", content=form_of(MAX_BYTES + 1), headers=FORM),
            413,
            "picture-too-large",
        )
    check_answer(strict.get("/search/images", q="fox"), "images")
