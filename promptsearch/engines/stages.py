"""The parts of a search, for whoever measures them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol, get_args

Name = Literal["decode", "encode", "filter", "keyword", "search", "re-score", "store"]
NAMES: tuple[Name, ...] = get_args(Name)


class Stage(Protocol):
    """Told when a part begins and ends."""

    def __call__(self, name: Name, /) -> AbstractContextManager[object]: ...


def untimed(_name: Name) -> AbstractContextManager[object]:
    return nullcontext()


class Stopwatch:
    """A `Stage` that knows how many milliseconds each took, in all."""

    def __init__(self) -> None:
        self.milliseconds: dict[Name, float] = {}

    @contextmanager
    def __call__(self, name: Name, /) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - started)
            self.milliseconds[name] = round(self.milliseconds.get(name, 0.0) + spent, 3)
