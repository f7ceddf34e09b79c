"""How long the stages of one request take, and with it those of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from promptsearch.engines.stages import StageName, Stopwatch

from ..ops.metrics import Metrics


class Timing(Stopwatch):
    """Satisfies `promptsearch.stages.Stage`."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    @contextmanager
    def __call__(self, name: StageName, /) -> Iterator[None]:
        with self._metrics.stage(name), self.waiting(name):
            yield

    def waiting(self, name: StageName) -> AbstractContextManager[None]:
        """For what is done together with others, who are counted with it: the wait for them is part of it."""
        return super().__call__(name)
