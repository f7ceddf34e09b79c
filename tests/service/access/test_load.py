"""Many requests at once: equal ones are computed once, excess ones are refused, and no answer is lost."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.support.load import counter, under_load, wait_for
from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

LOOKUPS = "prompt_search_cache_lookups_total"
# A picture that takes its time to decode, so that others can come meanwhile.
LARGE = as_bytes(picture(1, 200, 200).resize((3000, 3000)), "PNG")


@pytest.fixture
def flags(indices: Path, models: Path) -> list[str]:
    return ["--indices", str(indices), "--models", str(models)]


@pytest.fixture
def fresh(flags: list[str], tmp_path: Path) -> Iterator[Service]:
    """Yield a service that has not had a request."""
    with serving(tmp_path, [*flags, "--deadline", str(START)]) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


@pytest.fixture
def narrow(flags: list[str], tmp_path: Path) -> Iterator[Service]:
    """Yield a service that takes three requests at a time."""
    with serving(tmp_path, [*flags, "--queue", "3", "--deadline", str(START)]) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


def searched(service: Service) -> float:
    return counter(service, "prompt_search_stage_seconds_count", stage="search")


def without_time(response: httpx.Response) -> str:
    check_answer(response, "images")
    return re.sub(r'"took_ms":[\d.]+', "", response.text)


def test_a_cached_response_has_its_own_duration(fresh: Service) -> None:
    first, again = (fresh.get("/search/images", q="a fox") for _ in range(2))
    assert without_time(first) == without_time(again)
    assert 0 < again.json()["took_ms"] < first.json()["took_ms"]
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert searched(fresh) == 1
    assert counter(fresh, LOOKUPS, cache="answers", outcome="hit") == 1
    # Another page size, or prompts for pictures, is another answer to the same vector.
    fresh.get("/search/images", q="a fox", limit=1)
    fresh.get("/search/prompts", q="a fox")
    assert searched(fresh) == 3
    assert counter(fresh, LOOKUPS, cache="vectors", outcome="miss") == 1
    assert counter(fresh, LOOKUPS, cache="vectors", outcome="hit") == 2
    assert httpx.post(f"{fresh.url}/search/images", json={"q": "a fox"}).json()["results"] == first.json()["results"]
    assert searched(fresh) == 3
    assert counter(fresh, "prompt_search_stage_seconds_count", stage="encode") == 1


def test_a_cache_of_zero_bytes_keeps_nothing(flags: list[str], tmp_path: Path) -> None:
    with serving(tmp_path, [*flags, "--cache-bytes", "0"]) as service:
        assert len({without_time(service.get("/search/images", q="a fox")) for _ in range(3)}) == 1
        assert searched(service) == 3
        assert counter(service, "prompt_search_stage_seconds_count", stage="encode") == 3
        assert service.end() == 0


def occupy_workers(service: Service, pool: ThreadPoolExecutor, count: int) -> list[object]:
    """Send `count` uploads that keep the workers busy; return their futures once the service has taken them."""
    futures: list[object] = [
        pool.submit(httpx.post, f"{service.url}/search/images", files={"image": LARGE}, timeout=START)
        for _ in range(count)
    ]
    wait_for(lambda: counter(service, "prompt_search_admitted_requests") >= count, "take the uploads")
    return futures


def test_equal_concurrent_queries_are_computed_once(flags: list[str], tmp_path: Path) -> None:
    patient = [*flags, "--cache-bytes", "0", "--deadline", str(START)]
    with serving(tmp_path, patient) as service, ThreadPoolExecutor(40) as pool:
        occupy_workers(service, pool, 6)
        answers = list(pool.map(lambda _: service.get("/search/images", q="a fox"), range(16)))
        assert len({without_time(response) for response in answers}) == 1
        assert counter(service, LOOKUPS, cache="answers", outcome="shared") > 0
        computed = counter(service, LOOKUPS, cache="answers", outcome="miss")
        assert computed + counter(service, LOOKUPS, cache="answers", outcome="shared") == 16
        assert computed < 16
        assert service.end() == 0


def test_probes_are_answered_under_load(narrow: Service) -> None:
    with ThreadPoolExecutor(10) as pool:
        occupy_workers(narrow, pool, 3)
        for path in ("/healthz", "/readyz", "/metrics", "/collections"):
            assert narrow.get(path).status_code == 200


def test_overload_returns_retry_after(narrow: Service) -> None:
    with ThreadPoolExecutor(10) as pool:
        uploads = occupy_workers(narrow, pool, 3)
        refusals = [
            narrow.get("/search/images", q="a fox"),
            narrow.get("/images/x"),
            httpx.post(f"{narrow.url}/search/prompts", files={"image": b"not even looked at"}),
        ]
        for response in refusals:
            assert "try again in" in check_problem(response, 503, "overloaded")
            assert int(response.headers["retry-after"]) >= 1
        assert counter(narrow, "prompt_search_rejected_total", reason="queue") == 3
        for upload in uploads:
            check_answer(upload.result(), "images")  # type: ignore[attr-defined]
    check_answer(narrow.get("/search/images", q="a fox"), "images")


def test_a_client_that_leaves_frees_its_place(narrow: Service) -> None:
    with ThreadPoolExecutor(10) as pool:
        occupy_workers(narrow, pool, 2)
        address = httpx.URL(narrow.url)
        with socket.create_connection((address.host, address.port or 80), timeout=START) as connection:
            connection.sendall(b"GET /search/images?q=unique HTTP/1.1\r\nHost: test\r\n\r\n")
            wait_for(lambda: counter(narrow, LOOKUPS, cache="answers", outcome="miss") == 1, "begin with the question")
        wait_for(lambda: counter(narrow, "prompt_search_admitted_requests") <= 2, "notice that the client left")
    wait_for(lambda: counter(narrow, "prompt_search_admitted_requests") == 0, "be done")
    check_answer(narrow.get("/search/images", q="a fox"), "images")


@pytest.mark.slow
def test_overload_is_answered_in_time_or_turned_away(flags: list[str], tmp_path: Path) -> None:
    # What is taken and not done by the deadline is answered 503, too: without one, the last would take half a minute.
    with serving(tmp_path, [*flags, "--deadline", "1", "--cache-bytes", "0"]) as service:
        with (
            ThreadPoolExecutor(60) as pool,
            httpx.Client(timeout=START, limits=httpx.Limits(max_connections=60)) as client,
        ):

            def ask(number: int) -> httpx.Response:
                if number % 4 == 0:
                    return client.post(f"{service.url}/search/images", files={"image": LARGE})
                return client.get(f"{service.url}/search/images", params={"q": f"text {number}"})

            answers = list(pool.map(ask, range(600)))
        assert {answer.status_code for answer in answers} == {200, 503}
        assert counter(service, "prompt_search_admitted_requests") == 0
        check_answer(service.get("/search/images", q="afterwards"), "images")
        assert service.end() == 0
        assert service.errors() == []


@pytest.mark.slow
def test_a_signal_under_load_loses_no_answer(flags: list[str], tmp_path: Path) -> None:
    with serving(tmp_path, flags) as service:
        with under_load(f"{service.url}/search/images", 8, lambda number: {"q": f"text {number}"}) as load:
            wait_for(lambda: len(load.statuses) >= 80, "answer every client")
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(START) == 0
            wait_for(lambda: load.refused == 8, "turn every client away")
        assert set(load.statuses) == {200}
        assert load.broken == []
        assert service.errors() == []
