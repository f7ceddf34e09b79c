"""The times of a search's stages."""

from __future__ import annotations

import pytest

from promptsearch.engines.stages import Stopwatch, untimed


def test_times_of_a_stage_add_up() -> None:
    stopwatch = Stopwatch()
    with stopwatch("search"):
        sum(range(10_000))
    first = stopwatch.milliseconds["search"]
    with stopwatch("search"), stopwatch("filter"):
        sum(range(10_000))
    assert stopwatch.milliseconds["search"] > first > 0
    assert stopwatch.milliseconds.keys() == {"search", "filter"}


def test_a_stage_that_fails_is_timed_too() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(RuntimeError), stopwatch("encode"), untimed("search"):
        raise RuntimeError
    assert stopwatch.milliseconds.keys() == {"encode"}
