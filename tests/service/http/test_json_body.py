"""JSON that means harm: it is refused before it is parsed, briefly, and nobody else waits for it."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.errors import ParameterError, RequestTooLarge
from service.http.json_body import check_json, outside_base64, parse_json
from tests.service.http.test_body_limit import peak_memory
from tests.service.support.serving import START, Service
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

HEALTHY = 0.25  # seconds within which `/healthz` is answered, whatever else arrives
MEBIBYTE = 2**20
ROUTES = ("/search/images", "/search/prompts", "/search/batch", "/embed", "/knn-service", "/metadata")
PICTURE = base64.b64encode(as_bytes(picture(1, 40, 40))).decode()


def keys(count: int) -> bytes:
    return b"{%s}" % b",".join(b'"k%d":0' % number for number in range(count))


def repeated(start: bytes, part: bytes, end: bytes, size: int) -> bytes:
    """Return JSON of about `size` bytes that is mostly `part`, over and over."""
    return start + part * (size // len(part)) + end


LARGE = {  # each far above the limit
    "keys": keys(600_000),
    "conditions": repeated(b'{"filter":{"or":[', b'{"steps":1},', b'{"steps":1}]}}', 10 * MEBIBYTE),
    "empty lists": repeated(b'{"terms":[', b"[],", b"[]]}", 18 * MEBIBYTE),
    "ids": repeated(b'{"ids":[', b"1,", b"1]}", 18 * MEBIBYTE),
    "queries": repeated(b'{"queries":[', b'{"target":"images"},', b"{}]}", 18 * MEBIBYTE),
    "escapes": repeated(b'{"q":"', rb"\u0041", b'"}', 18 * MEBIBYTE),
}
SMALL = {  # each below the limit of bytes, so that others have to help
    "keys": keys(80_000),
    "conditions": repeated(b'{"filter":{"or":[', b"{},", b"{}]}}", 1_000_000),
    "empty lists": repeated(b'{"terms":[', b"[],", b"[]]}", 1_000_000),
    "depth": b'{"filter":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "vectors": repeated(b'{"terms":[{"vector":[', b'"a",', b'"a"]}]}', 1_000_000),
    "embedding_input": repeated(b'{"embedding_input":[', b'"a",', b'"a"]}', 1_000_000),
    "ids": repeated(b'{"ids":[', b'"a",', b'"a"]}', 1_000_000),
    "texts": repeated(b'{"texts":[', b'"",', b'""]}', 1_000_000),
    "open text": repeated(b'{"q":"', b'\\"', b"", 1_000_000),
    "quotes": b'"' * 1_000_000,
}
HOSTILE = {**{f"large {name}": body for name, body in LARGE.items()}, **SMALL}


@contextmanager
def watched(service: Service) -> Iterator[list[float]]:
    """Yield a list that collects the seconds that `/healthz` takes, over and over, while the block runs."""
    took: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=START) as client:
            while not stop.is_set():
                started = time.monotonic()
                assert client.get(f"{service.url}/healthz").status_code == 200
                took.append(time.monotonic() - started)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join(START)


def post(service: Service, route: str, body: bytes) -> httpx.Response:
    return httpx.post(service.url + route, content=body, headers={"Content-Type": "application/json"}, timeout=START)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused_briefly_and_the_service_stays_alive(server: Service, route: str, name: str) -> None:
    slowest = []
    for _ in range(3):  # a busy machine may delay one of them
        with watched(server) as took:
            response = post(server, route, HOSTILE[name])
        assert response.status_code in (400, 413), response.text[:500]
        assert len(response.content) < 4000
        slowest.append(max(took, default=0.0))
        if slowest[-1] < HEALTHY:
            return
    raise AssertionError(f"/healthz took {slowest} s")


def test_hostile_bodies_take_no_memory(server: Service) -> None:
    before = peak_memory(server)
    for body in HOSTILE.values():
        post(server, "/search/images", body)
    assert peak_memory(server) < before + 150 * MEBIBYTE


@pytest.mark.parametrize("route", ["/search/images", "/search/batch", "/embed", "/knn-service"])
def test_pictures_are_not_counted(server: Service, route: str) -> None:
    """Base64 of several megabytes is read as before: here it is no picture, which is another problem."""
    noise = base64.b64encode(bytes(3 * MEBIBYTE)).decode()
    bodies: dict[str, dict[str, Any]] = {
        "/search/images": {"image": f"data:image/png;base64,{noise}", "terms": [{"image": noise}]},
        "/search/batch": {"queries": [{"target": "images", "image": noise}, {"target": "prompts", "q": "fox"}]},
        "/embed": {"images": [noise, PICTURE]},
        "/knn-service": {"image": noise},
    }
    response = httpx.post(server.url + route, json=bodies[route], timeout=START)
    if route == "/search/batch":
        assert response.status_code == 200
        problem, answer = response.json()["results"]
        assert problem["type"] == "urn:prompt-search:not-a-picture"
        assert answer["results"]
    else:
        check_problem(response, 415, "not-a-picture")


def test_json_just_below_the_limit_is_read(server: Service) -> None:
    text = "fox " * 2000
    body = {"terms": [{"text": text + str(number)} for number in range(31)], "negative": "cat"}
    check_answer(httpx.post(f"{server.url}/search/images", json=body, timeout=START), "images")


def test_limits_apply_to_forms(server: Service) -> None:
    check_problem(httpx.post(f"{server.url}/search/images", data={"q": "x" * MEBIBYTE}), 413, "request-too-large")
    nested = repeated(b'{"or":[', b"{},", b"{}]}", 900_000).decode()
    upload = {"image": base64.b64decode(PICTURE)}
    for form in ({"data": {"filter": nested}}, {"data": {"filter": nested}, "files": upload}):
        check_problem(httpx.post(f"{server.url}/search/images", timeout=START, **form), 413, "request-too-large")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("route", ["/knn-service", "/metadata"])
def test_limits_apply_to_any_content_type(server: Service, route: str, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    for body in (LARGE["empty lists"], SMALL["empty lists"]):
        response = httpx.post(server.url + route, content=body, headers=headers, timeout=START)
        check_problem(response, 413, "request-too-large")


def test_a_declared_length_is_refused_before_anything_is_sent(server: Service) -> None:
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80), timeout=START) as connection:
        connection.sendall(b"POST /search/images HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_problem_names_ten_findings_and_repeats_no_value(server: Service) -> None:
    secret = "s3cret"
    queries = [{"target": "images", "limit": secret, "sort": 5} for _ in range(50)]
    response = httpx.post(f"{server.url}/search/batch", json={"queries": queries})
    detail = check_problem(response, 400, "bad-parameter")
    assert detail.count(";") == 10
    assert detail.endswith("; and 90 more")
    assert secret not in detail
    response = httpx.post(f"{server.url}/search/images", json={"x" * 5000: 1})
    assert len(check_problem(response, 400, "bad-parameter").partition(" (parameters are")[0]) <= 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/images/s3cret", None),
        ("/prompts/s3cret", None),
        ("/search/images?q=fox&limit=s3cret", None),
        ("/search/images?filter.steps=s3cret", None),
        ("/search/images?cursor=s3cret", None),
        ("/search/images", {"filter": {"steps": {"gte": "s3cret"}}}),
        ("/search/images", {"filter": {"steps": {"exists": "s3cret"}}}),
        ("/search/images", {"terms": [{"id": "s3cret"}]}),
        ("/search/images", {"image": "s3cret!"}),
        ("/metadata", {"ids": ["s3cret"]}),
        ("/metadata", {"ids": [31337]}),
    ],
)
def test_a_problem_repeats_no_value(server: Service, path: str, body: Any) -> None:
    response = server.get(path) if body is None else httpx.post(server.url + path, json=body)
    assert 400 <= response.status_code < 500
    assert "s3cret" not in response.json()["detail"]
    assert "31337" not in response.json()["detail"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(values, st.booleans())
def test_ordinary_json_is_parsed_unchanged(value: Any, ascii: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii).encode(), MEBIBYTE, "the body") == value


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_read_and_limited(encoding: str) -> None:
    assert parse_json('{"q": "∢fox"}'.encode(encoding), MEBIBYTE, "the body") == {"q": "∢fox"}
    with pytest.raises(RequestTooLarge):
        parse_json(f"[{'[],' * 30_000}0]".encode(encoding), MEBIBYTE, "the body")


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parsed = parse_json(body, MEBIBYTE, "the body")
    except (ParameterError, RequestTooLarge):
        return
    assert repr(parsed) == repr(json.loads(body))  # NaN differs from itself


def test_limits_count_values_and_texts_but_not_pictures() -> None:
    picture, words = b"A" * 2000, b"A " * 99
    check_json(b'{"image":"%s","terms":[{"image":"data:image/png;base64,%s"}]}' % (picture, picture), 100)
    for body in (
        b'{"q":"%s "}' % picture,
        b'{"v":%s}' % (b"1" * 2000),
        b'{"q":"%s","a":"\\"%s"}' % (words, picture),
    ):
        with pytest.raises(RequestTooLarge):
            check_json(body, 100)
    # Brackets in texts nest nothing, and an escaped quote ends no text.
    check_json(b'{"q":"%s\\"%s"}' % (b"[" * 1000, b"[" * 1000), MEBIBYTE)
    assert outside_base64(b'{"a":"AA/+=="}') == 7
