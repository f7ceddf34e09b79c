"""The parts of a search, for whoever measures them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol, get_args

StageName = Literal["decode", "encode", "filter", "keyword", "search", "re-score", "store"]
STAGES: tuple[StageName, ...] = get_args(StageName)


class Stage(Protocol):
    """Told when a part begins and ends."""

    def __call__(self, name: StageName, /) -> AbstractContextManager[object]: ...


def untimed(_name: StageName) -> AbstractContextManager[object]:
    return nullcontext()


class Stopwatch:
    """A `Stage` that knows how many milliseconds each took, in all."""

    def __init__(self) -> None:
        self.milliseconds: dict[StageName, float] = {}

    @contextmanager
    def __call__(self, name: StageName, /) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - started)
            self.milliseconds[name] = round(self.milliseconds.get(name, 0.0) + spent, 3)
