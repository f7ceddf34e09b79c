"""The stages of a search, for measuring their times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol, get_args

StageName = Literal["decode", "encode", "filter", "keyword", "search", "re-score", "store"]
STAGES: tuple[StageName, ...] = get_args(StageName)


class Stage(Protocol):
    """Opens a context for the time of a stage."""

    def __call__(self, name: StageName, /) -> AbstractContextManager[object]:
        """Return a context for the time of a stage."""


def untimed(_name: StageName) -> AbstractContextManager[object]:
    """Return a context that measures nothing."""
    return nullcontext()


class Stopwatch:
    """A `Stage` that adds up the milliseconds of each stage."""

    def __init__(self) -> None:
        self.milliseconds: dict[StageName, float] = {}

    @contextmanager
    def __call__(self, name: StageName, /) -> Iterator[None]:
        """Add the time of the block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = 1000 * (time.perf_counter() - started)
            self.milliseconds[name] = round(self.milliseconds.get(name, 0.0) + elapsed, 3)
