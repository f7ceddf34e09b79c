"""Requests that are refused unparsed, by the rule and by a real service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptsearch.errors import Overloaded
from service.access.admission import Work
from service.access.shedding import Shedding
from service.ops.metrics import Metrics
from tests.service.support.load import counter
from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer, check_problem

SEARCH = b"/search/images?q=fox"
CLIENTS = 300


def full(_: Work, __: int) -> None:
    raise Overloaded("no room", 3)


@pytest.mark.parametrize(
    ("target", "headers", "refused"),
    [
        (SEARCH, [(b"host", b"test")], True),
        (b"//metadata?a", [], True),
        (b"/images/abc/thumbnail", [], True),
        (b"/searching", [], False),
        (b"/healthz", [], False),
        (b"/readyz?search/", [], False),
        (b"/metrics", [], False),
        (b"/", [], False),
        (SEARCH, [(b"origin", b"https://example.org")], False),
        (SEARCH, [(b"content-length", b"3")], False),
    ],
)
def test_shedding_refuses_only_work_without_an_origin_or_a_body(
    target: bytes, headers: list[tuple[bytes, bytes]], refused: bool
) -> None:
    async def ask() -> None:
        shedding = Shedding(full, Metrics())
        for _ in range(4):
            assert shedding.refusal(target, headers) is None  # no request waits yet
            shedding.pass_on()
        refusal = shedding.refusal(target, headers)
        assert (refusal is not None) == refused
        if refusal is not None:
            assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "3")

    asyncio.run(ask())


def test_a_loop_that_was_behind_keeps_refusing_for_a_while() -> None:
    clock = [100.0]

    async def ask() -> None:
        shedding = Shedding(full, Metrics(), lambda: clock[0])
        for _ in range(4):
            shedding.pass_on()
        assert shedding.refusal(SEARCH, []) is not None
        await asyncio.sleep(0)  # they have been looked at
        for _ in range(3):
            clock[0] += 0.2
            assert shedding.refusal(SEARCH, []) is not None  # and each time it is behind from anew
        clock[0] += 0.3
        assert shedding.refusal(SEARCH, []) is None

    asyncio.run(ask())


def test_unparsed_requests_count_for_shedding() -> None:
    async def ask() -> None:
        waiting = list[int]()
        shedding = Shedding(lambda _, before: waiting.append(before), Metrics())
        for _ in range(6):
            shedding.refusal(SEARCH, [])
            shedding.pass_on()
        assert waiting == [4, 5]

    asyncio.run(ask())


def test_requests_pass_with_capacity_and_after_stop() -> None:
    async def ask() -> None:
        roomy, stopped = Shedding(lambda _, __: None, Metrics()), Shedding(full, Metrics())
        stopped.stop()
        for shedding in (roomy, stopped):
            for _ in range(100):
                shedding.pass_on()
            assert shedding.refusal(SEARCH, []) is None

    asyncio.run(ask())


def test_cheap_requests_are_admitted_when_searches_are_refused() -> None:
    def refuse_texts(work: Work, before: int) -> None:
        if work == "text":
            full(work, before)

    async def ask() -> None:
        shedding = Shedding(refuse_texts, Metrics())
        for _ in range(4):
            shedding.pass_on()
        assert shedding.refusal(SEARCH, []) is not None
        assert shedding.refusal(b"/images/abc/thumbnail", []) is None

    asyncio.run(ask())


@pytest.fixture
def narrow(indices: Path, models: Path, tmp_path: Path) -> Iterator[Service]:
    """Yield a service that takes one request at a time."""
    flags = ["--indices", str(indices), "--models", str(models), "--queue", "1", "--cache-bytes", "0"]
    with serving(tmp_path, flags) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


@pytest.mark.slow
def test_a_flood_of_connections_is_answered_or_refused_with_a_complete_response(narrow: Service) -> None:
    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=CLIENTS)
        async with httpx.AsyncClient(
            base_url=narrow.url, timeout=httpx.Timeout(START, pool=None), limits=limits
        ) as client:
            requests = (client.get("/search/images", params={"q": f"text {number}"}) for number in range(3 * CLIENTS))
            return await asyncio.gather(*requests)

    at_first_sight = 0.0
    for _ in range(10):
        answers = asyncio.run(flood())
        for answer in answers:
            if answer.status_code == 200:
                check_answer(answer, "images")
            else:
                check_problem(answer, 503, "overloaded")
                assert int(answer.headers["retry-after"]) >= 1
            assert len(answer.headers["x-request-id"]) == 32
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "date" in answer.headers
        at_first_sight = counter(narrow, "prompt_search_requests_total", route="unknown", status="503")
        if at_first_sight:
            break
    assert at_first_sight
    assert counter(narrow, "prompt_search_rejected_total", reason="queue") >= at_first_sight
    check_answer(narrow.get("/search/images", q="afterwards"), "images")
