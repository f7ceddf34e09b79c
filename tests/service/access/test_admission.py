"""What is promised, against work that is really done: batches on one thread, as the encoder does them."""

from __future__ import annotations

import asyncio
import time

import pytest

from promptsearch.errors import Overloaded
from service.access.admission import Admission
from service.ops.metrics import Metrics

ALONE, EACH = 0.004, 0.002  # seconds of a batch, and of each text in it
MOST = 50


class Batches:
    """Takes so long for what has queued, and then for what has queued meanwhile."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._running: asyncio.Task[None] | None = None

    async def one(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await future

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await asyncio.sleep(ALONE + EACH * len(batch))
            for future in batch:
                if not future.done():
                    future.set_result(None)
        self._running = None


async def asked(admission: Admission, clients: int, seconds: float) -> tuple[list[float], int]:
    """How long each answer took, and how many were refused, with so many clients that always ask again."""
    batches, took, refused = Batches(), list[float](), 0
    end = time.monotonic() + seconds

    async def client() -> None:
        nonlocal refused
        while time.monotonic() < end:
            started = time.monotonic()
            try:
                await admission.run("text", batches.one)
                took.append(time.monotonic() - started)
            except Overloaded:
                refused += 1
                await asyncio.sleep(0.02)

    await asyncio.gather(*(client() for _ in range(clients)))
    return took, refused


@pytest.mark.parametrize("clients", [1, 8, 32, 64])
def test_who_can_be_answered_in_time_is_never_refused(clients: int) -> None:
    took, refused = asyncio.run(asked(Admission(1000, 5.0, Metrics()), clients, 1.5))
    assert refused == 0
    assert took


def test_who_cannot_is_refused_and_the_others_are_answered_in_time() -> None:
    took, refused = asyncio.run(asked(Admission(10_000, 1.0, Metrics()), 1500, 2.0))
    assert refused > 0
    assert len(took) > 100
    assert max(took) < 2.0


def test_what_is_slow_at_first_is_taken_again_when_it_is_fast() -> None:
    admission = Admission(1000, 0.3, Metrics())

    async def work() -> int:
        for _ in range(4):
            try:
                await admission.run("text", lambda: asyncio.sleep(0.4))
            except Overloaded:
                continue
        _, refused = await asked(admission, 1, 1.0)
        return refused

    assert asyncio.run(work()) == 0


def test_those_before_one_take_places_and_time() -> None:
    async def ask() -> None:
        for admission in (Admission(3, 5.0, Metrics()), Admission(1000, 0.2, Metrics())):
            admission.check("text", 1000)  # with nothing ahead it is always tried
            working = asyncio.create_task(admission.run("text", lambda: asyncio.sleep(10)))
            await asyncio.sleep(0)
            admission.check("text", 1)
            with pytest.raises(Overloaded):
                admission.check("text", 4)
            working.cancel()

    asyncio.run(ask())
