"""Admission: work that cannot be finished in time is refused at once, with the time to come back."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

from promptsearch.errors import Overloaded

from ..ops.metrics import Metrics

T = TypeVar("T")

Work = Literal["text", "picture", "search", "deep", "item"]

# Seconds of each class of work until they are learnt: CLIP ViT-B/32 on two cores, rounded up.
_FIRST_GUESS: dict[Work, float] = {"text": 0.02, "picture": 0.1, "search": 0.01, "deep": 0.2, "item": 0.002}
_GUESS_WEIGHT = 4  # responses that a first guess counts for
_MEMORY = 10.0  # seconds of work over which costs are averaged
_ALONE = 0.5  # share of the cost of work that had a batch to itself: with others, each costs less
_PROMISED = 0.4  # share of the deadline that may be promised; the rest absorbs errors of the estimate


class Admission:
    """A bounded queue with a deadline, for the event loop alone.

    Work is admitted while there is a place and everything before it is expected to be finished in two fifths of the
    deadline. The cost of each class is learnt from the time between one response and the next while there is work:
    the costs of many responses then add up to the time that they took, however they were batched and on however many
    cores. So batching, other models and slower machines need no setting.
    """

    def __init__(
        self, places: int, deadline: float, metrics: Metrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Admit at most `places` at once, each for `deadline` seconds of the clock `now`."""
        self._now = now
        self._places = places
        self._deadline = deadline
        self._metrics = metrics
        # Of each class, lately: the seconds of its responses, and their number. Both decay alike, so a batch that is
        # answered at once counts as much as the same number of single responses.
        self._seconds = {work: _GUESS_WEIGHT * guess for work, guess in _FIRST_GUESS.items()}
        self._responses = dict.fromkeys(_FIRST_GUESS, float(_GUESS_WEIGHT))
        self._admitted = 0
        self._expected = 0.0  # seconds of all admitted work
        self._last = 0.0  # time of the last response, or of the first admission after there was no work

    def check(self, work: Work, before: int = 0) -> None:
        """Raise Overloaded if `work` would be refused now.

        `before`: requests of the same class that are queued ahead.
        """
        expected = self._expected + (before + 1) * self._cost(work)
        # An idle service always tries: work that was too slow may have become faster.
        if self._admitted and (self._admitted + before >= self._places or expected > _PROMISED * self._deadline):
            raise self._overloaded("queue", expected)

    async def run(self, work: Work, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `compute` returns; raises Overloaded if it is refused or misses the deadline.

        A caller that is cancelled cancels `compute` and frees its place.
        """
        self.check(work)
        cost = self._cost(work)
        alone = not self._admitted
        if alone:
            self._last = self._now()
        self._admitted += 1
        self._expected += cost
        self._metrics.admitted_requests.inc()
        try:
            async with asyncio.timeout(self._deadline):
                result = await compute()
        except TimeoutError:
            self._learn(work, 1.0)
            raise self._overloaded("deadline", self._expected) from None
        else:
            self._learn(work, _ALONE if alone and self._admitted == 1 else 1.0)
            return result
        finally:
            self._admitted -= 1
            self._expected = self._expected - cost if self._admitted else 0.0
            self._metrics.admitted_requests.dec()

    def _cost(self, work: Work) -> float:
        return self._seconds[work] / self._responses[work]

    def _learn(self, work: Work, share: float) -> None:
        now = self._now()
        took, self._last = now - self._last, now
        decay = math.exp(-took / _MEMORY)
        self._seconds[work] = decay * self._seconds[work] + share * took
        self._responses[work] = decay * self._responses[work] + 1.0

    def _overloaded(self, reason: str, seconds: float) -> Overloaded:
        self._metrics.rejected.labels(reason).inc()
        wait = max(1, math.ceil(seconds))
        return Overloaded(f"the service is overloaded: try again in {wait} s", wait)
