"""How long one request and its stages take; the stages also count in the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from promptsearch.engines.stages import StageName, Stopwatch

from ..ops.metrics import Metrics


class Timing(Stopwatch):
    """A `promptsearch.engines.stages.Stage` that starts with a request."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics
        self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Return the milliseconds since the request was read."""
        return 1000 * (time.perf_counter() - self._started)

    @contextmanager
    def __call__(self, name: StageName, /) -> Iterator[None]:
        """Time a stage of this request alone."""
        with self._metrics.stage(name), self.waiting(name):
            yield

    def waiting(self, name: StageName) -> AbstractContextManager[None]:
        """Time a stage that is shared with other requests, the wait for them included.

        The metrics count it once for all of them, where it is computed.
        """
        return super().__call__(name)
