"""The division of texts into batches, against every possible one; and the promises of a batcher."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.batching import MAX_TOKENS, READING, Batcher, Vector, first_batch
from service.inference.search_threads import SearchThreads
from service.search.singleflight import SingleFlight


def cost(lengths: Sequence[int]) -> int:
    return READING + max(lengths) * len(lengths)


def least(lengths: list[int]) -> int:
    """Return the least cost of all divisions of the sorted lengths into batches that are not too large."""
    if not lengths:
        return 0
    ends = [end for end in range(1, len(lengths) + 1) if end == 1 or end * lengths[end - 1] <= MAX_TOKENS]
    return min(cost(lengths[:end]) + least(lengths[end:]) for end in ends)


@given(lengths=st.lists(st.integers(2, 77), min_size=1, max_size=9))
def test_batches_cost_the_least_and_the_oldest_text_goes_first(lengths: list[int]) -> None:
    waiting, total = list(lengths), 0
    while waiting:
        batch = first_batch(waiting)
        assert 0 in batch
        assert len(set(batch)) == len(batch)
        total += cost([waiting[index] for index in batch])
        waiting = [length for index, length in enumerate(waiting) if index not in batch]
    assert total == least(sorted(lengths))


def test_a_batch_has_an_end() -> None:
    for length in (2, 10, 77):
        assert 0 < len(first_batch([length] * 500)) <= MAX_TOKENS // length


class Encoder:
    """Numbers to vectors, one batch at a time; holds the first until it is released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> tuple[Sequence[int], Vector]:
        self.batches.append(list(numbers))
        self.begun.set()
        self.release.wait()
        if -1 in numbers:
            raise ValueError("no number")
        return range(len(numbers)), np.array([[number] for number in numbers], dtype=np.float32)


def run(scenario: Callable[[Batcher[int], Encoder], object]) -> Encoder:
    encoder = Encoder()

    async def whole() -> None:
        workers = SearchThreads(1)
        await scenario(Batcher("test", encoder, workers), encoder)  # type: ignore[misc]
        workers.close()

    asyncio.run(whole())
    return encoder


def test_a_single_request_starts_at_once_and_later_ones_form_a_batch() -> None:
    async def scenario(batcher: Batcher[int], encoder: Encoder) -> None:
        first = asyncio.create_task(batcher.vector(1))
        await asyncio.to_thread(encoder.begun.wait)
        others = [asyncio.create_task(batcher.vector(number)) for number in range(2, 7)]
        await asyncio.sleep(0)
        others[2].cancel()  # its client has left: nobody encodes 4
        await asyncio.sleep(0)
        encoder.release.set()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        assert [result if isinstance(result, BaseException) else float(result[0]) for result in results][:3] == [
            1.0,
            2.0,
            3.0,
        ]
        assert isinstance(results[3], asyncio.CancelledError)

    assert run(scenario).batches == [[1], [2, 3, 5, 6]]


def test_callbacks_run_in_the_encoding_thread_only_if_no_item_waits() -> None:
    done: dict[float, str] = {}

    def then(vector: Vector) -> None:
        done[float(vector[0])] = threading.current_thread().name.partition("_")[0]

    async def scenario(batcher: Batcher[int], encoder: Encoder) -> None:
        encoder.release.set()
        assert (await batcher.vector(1, then))[0] == 1
        encoder.begun.clear()
        encoder.release.clear()
        second = asyncio.create_task(batcher.vector(2, then))
        await asyncio.to_thread(encoder.begun.wait)
        others = [asyncio.create_task(batcher.vector(number, then)) for number in (3, 4, 5)]
        await asyncio.sleep(0)
        others[1].cancel()
        await asyncio.sleep(0)
        encoder.release.set()
        await asyncio.gather(second, *others, return_exceptions=True)

    assert run(scenario).batches == [[1], [2], [3, 5]]
    assert done == {1: "test", 2: "search", 3: "search", 5: "search"}


def test_a_failed_batch_raises_for_each_request_and_the_next_one_succeeds() -> None:
    async def scenario(batcher: Batcher[int], encoder: Encoder) -> None:
        encoder.release.set()
        with pytest.raises(ValueError, match="no number"):
            await batcher.vector(-1)
        assert (await batcher.vector(3))[0] == 3

    run(scenario)


def test_shared_work_is_cancelled_with_its_last_waiter() -> None:
    async def scenario() -> None:
        single_flight: SingleFlight[int] = SingleFlight()
        ended: list[str] = []

        async def compute() -> int:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return 1

        first, other = (asyncio.create_task(single_flight.run("key", compute)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        assert ("key" in single_flight, ended) == (True, [])
        other.cancel()
        await asyncio.sleep(0.01)
        assert ("key" in single_flight, ended) == (False, ["cancelled"])
        assert await single_flight.run("key", lambda: asyncio.sleep(0, 2)) == 2

    asyncio.run(scenario())
