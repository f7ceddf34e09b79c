"""How long the stages of one request take, and with it those of all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from promptsearch.stages import Name
from service.metrics import Metrics


class Timing:
    """Satisfies `promptsearch.stages.Stage`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.milliseconds: dict[Name, float] = {}

    @contextmanager
    def __call__(self, name: Name, /) -> Iterator[None]:
        with self._metrics.stage(name), self.waiting(name):
            yield

    @contextmanager
    def waiting(self, name: Name) -> Iterator[None]:
        """For what is done together with others, who are counted with it: the wait for them is part of it."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - started)
            self.milliseconds[name] = round(self.milliseconds.get(name, 0.0) + spent, 3)
