"""The log of a real service: one JSON object per line, and the id of each request."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
import time
import uuid
from typing import Any

import httpx
import pytest

from service.ops.logs import REQUEST_ID, BufferedHandler, JsonFormatter
from tests.service.server.test_server import PNG
from tests.service.support.serving import START, Service


def line_of(server: Service, id: str) -> dict[str, Any]:
    """Return the one log line about a request; it is written once the response is sent."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        lines = [line for line in server.requests() if line["request_id"] == id]
        if lines:
            [line] = lines
            return line
        time.sleep(0.02)
    raise AssertionError(f"nothing was logged of {id}")


def test_a_request_is_one_line_with_its_id(server: Service) -> None:
    id = uuid.uuid4().hex
    answer = httpx.post(f"{server.url}/search/images", files={"image": PNG}, headers={"X-Request-ID": id})
    assert answer.headers["x-request-id"] == id
    line = line_of(server, id)
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "service.access", "POST /search/images 200")
    assert (line["method"], line["path"], line["route"], line["status"]) == (
        "POST", "/search/images", "/search/images", 200,
    )  # fmt: skip
    assert 0 < line["ms"] < 60_000
    assert line["client"] == "127.0.0.1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


def test_the_route_is_a_template_and_the_query_is_left_out(server: Service) -> None:
    answer = server.get("/images/some-id", secret="what someone looks for")
    line = line_of(server, answer.headers["x-request-id"])
    assert (line["path"], line["route"], line["status"]) == ("/images/some-id", "/images/{id}", 404)
    assert "looks for" not in json.dumps(line)


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing", "/search/images?limit=0", "/docs"])
def test_every_answer_has_an_id_of_its_own(server: Service, path: str) -> None:
    ids = {server.get(path).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)


@pytest.mark.parametrize("id", ["", "a b", 'x","level":"FATAL', "a\tb", "x" * 129, "../x", "ü"])
def test_ids_with_unsafe_characters_are_replaced(server: Service, id: str) -> None:
    answer = httpx.get(f"{server.url}/healthz", headers={b"X-Request-ID": id.encode()})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_an_error_has_its_traceback_and_the_requests_id_on_the_same_line() -> None:
    token = REQUEST_ID.set("some-request")
    try:
        raise ZeroDivisionError("here")
    except ZeroDivisionError:
        record = logging.LogRecord("service.x", logging.ERROR, "x.py", 1, "%s failed", ("it",), sys.exc_info())
        formatted = JsonFormatter().format(record)
    finally:
        REQUEST_ID.reset(token)
    assert "\n" not in formatted
    line = json.loads(formatted)
    assert (line["level"], line["message"], line["request_id"]) == ("ERROR", "it failed", "some-request")
    assert line["traceback"].endswith("ZeroDivisionError: here")


def test_lines_are_buffered_while_an_event_loop_runs_and_never_lost() -> None:
    stream = io.StringIO()
    handler = BufferedHandler(stream)

    def emit(text: str) -> None:
        handler.emit(logging.LogRecord("service", logging.INFO, __file__, 1, text, None, None))

    async def log() -> None:
        emit("one")
        emit("two")
        assert stream.getvalue() == ""
        await asyncio.sleep(0.2)
        assert stream.getvalue() == "one\ntwo\n"
        emit("three")

    asyncio.run(log())
    handler.flush()  # as `logging` does at the end of the process
    assert stream.getvalue() == "one\ntwo\nthree\n"
    emit("four")
    assert stream.getvalue().endswith("three\nfour\n")
