"""Admission promises no more than real work achieves: batches on one thread, as the encoder runs them."""

from __future__ import annotations

import asyncio
import selectors

import pytest

from promptsearch.errors import Overloaded
from service.access.admission import Admission
from service.ops.metrics import Metrics

ALONE, EACH = 0.004, 0.002  # seconds of a batch, and of each text in it
MOST = 50


class _Skipping(selectors.DefaultSelector):
    """Passes the time in which there would be nothing to do."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left to wait for"
        self.now += max(timeout, 0.0)
        return super().select(0)


class TimelessLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds pass at once, and in which work takes none but those that it sleeps."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


class Batches:
    """Takes the time of a batch for all queued work, and again for what queued during it."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
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


async def run_clients(admission: Admission, clients: int, seconds: float) -> tuple[list[float], int]:
    """Let clients send requests all the time; return the seconds of each answer, and the number of refusals."""
    batches, took, refused = Batches(), list[float](), 0
    now = asyncio.get_running_loop().time
    end = now() + seconds

    async def client() -> None:
        nonlocal refused
        while now() < end:
            started = now()
            try:
                await admission.run("text", batches.run)
                took.append(now() - started)
            except Overloaded:
                refused += 1
                await asyncio.sleep(0.02)

    await asyncio.gather(*(client() for _ in range(clients)))
    return took, refused


@pytest.mark.parametrize("clients", [1, 8, 32, 64])
def test_requests_within_the_deadline_are_never_refused(clients: int) -> None:
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        admission = Admission(1000, 5.0, Metrics(), runner.get_loop().time)
        took, refused = runner.run(run_clients(admission, clients, 20.0))
    assert refused == 0
    assert took


def test_overload_is_refused_and_admitted_requests_meet_the_deadline() -> None:
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        admission = Admission(10_000, 1.0, Metrics(), runner.get_loop().time)
        took, refused = runner.run(run_clients(admission, 300, 3.0))
    assert refused > 0
    # At each moment two fifths of a second of work are promised, which is the capacity.
    assert len(took) > 3.0 * MOST / (ALONE + EACH * MOST) * 0.9
    assert max(took) <= 1.0


def test_work_that_becomes_fast_is_admitted_again() -> None:
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        admission = Admission(1000, 0.3, Metrics(), runner.get_loop().time)

        async def work() -> int:
            for _ in range(4):
                with pytest.raises(Overloaded):
                    await admission.run("text", lambda: asyncio.sleep(0.4))
            _, refused = await run_clients(admission, 1, 20.0)
            return refused

        assert runner.run(work()) == 0


def test_queued_requests_count_for_admission() -> None:
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
