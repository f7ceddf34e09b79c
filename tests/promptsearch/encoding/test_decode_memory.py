"""Memory for decoding is shared: whoever needs more than is left waits, in order."""

from __future__ import annotations

import threading

import pytest

from promptsearch.encoding.decode_memory import ThreadsMemory
from promptsearch.errors import PictureTooLarge

WAIT = 30.0  # seconds, on a busy machine


def test_more_than_the_total_is_refused() -> None:
    memory = ThreadsMemory(100)
    with pytest.raises(PictureTooLarge), memory.hold(101):
        pass
    with memory.hold(100):
        pass


def test_memory_is_granted_in_order() -> None:
    memory, order, started = ThreadsMemory(100), [], [threading.Event() for _ in range(3)]

    def take(number: int, needed: int) -> None:
        started[number].set()
        with memory.hold(needed):
            order.append(number)

    threads = []
    with memory.hold(60):
        for number, needed in enumerate((50, 10, 90)):  # the second would fit, but the first was there before
            threads.append(threading.Thread(target=take, args=(number, needed)))
            threads[-1].start()
            assert started[number].wait(WAIT)
            while len(memory._waiting) < number + 1:
                pass
        assert order == []
    for thread in threads:
        thread.join(WAIT)
    assert order == [0, 1, 2]


def test_failed_work_releases_its_memory() -> None:
    memory = ThreadsMemory(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), memory.hold(100):
            raise ZeroDivisionError
    with memory.hold(100):
        pass
