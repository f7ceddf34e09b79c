"""Who is let in: as much as can be answered in time. The rest hears at once when to come again."""

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

# Seconds that each occupies the service, until it is learnt: CLIP ViT-B/32 on two cores, rounded up.
_FIRST_GUESS: dict[Work, float] = {"text": 0.02, "picture": 0.1, "search": 0.01, "deep": 0.2, "item": 0.002}
_GUESSED = 4  # answers that a first guess counts for
_MEMORY = 10.0  # seconds of work that what is expected is an average of
_ALONE = 0.5  # of what takes a batch to itself: with others, each costs less
_ROOM = 0.4  # of the deadline may be promised; the rest is for what was not expected


class Admission:
    """A bounded queue with a deadline, for the event loop alone.

    Work is taken while there is a place and what is ahead of it is expected to be done in two fifths of the deadline.
    What each kind costs is learnt from the time between one answer and the next while there is work: the costs of many
    answers then add up to the time that they took, however they were batched and on however many cores. So batching,
    other models and slower machines need no setting.
    """

    def __init__(
        self, places: int, deadline: float, metrics: Metrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`deadline` in seconds, from when work is taken to its answer; `now` is the clock, in seconds."""
        self._places = places
        self._deadline = deadline
        self._metrics = metrics
        self._now = now
        # Of each kind, lately: seconds that its answers took, and how many there were. Both fade alike, so a batch
        # that is answered at one moment counts as much as as many answers one by one.
        self._seconds = {work: _GUESSED * guess for work, guess in _FIRST_GUESS.items()}
        self._answers = dict.fromkeys(_FIRST_GUESS, float(_GUESSED))
        self._taken = 0
        self._ahead = 0.0  # seconds, of all that is taken
        self._last = 0.0  # when the last answer was given, or the first work taken since there was none

    def check(self, work: Work, before: int = 0) -> None:
        """Raises Overloaded where `work` would not be taken now: before a body is read that would be for nothing.

        `before`: others that will ask for the same before it does.
        """
        expected = self._ahead + (before + 1) * self._cost(work)
        # With nothing ahead it is always tried: what looked too slow once may have become faster.
        if self._taken and (self._taken + before >= self._places or expected > _ROOM * self._deadline):
            raise self._overloaded("queue", expected)

    async def run(self, work: Work, do: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `do` gives; raises Overloaded where it is not taken, or is not done by the deadline.

        A caller that is cancelled gives up its place, and `do` with it.
        """
        self.check(work)
        cost = self._cost(work)
        alone = not self._taken
        if alone:
            self._last = self._now()
        self._taken += 1
        self._ahead += cost
        self._metrics.queue_depth.inc()
        try:
            async with asyncio.timeout(self._deadline):
                found = await do()
        except TimeoutError:
            self._learn(work, 1.0)
            raise self._overloaded("deadline", self._ahead) from None
        else:
            self._learn(work, _ALONE if alone and self._taken == 1 else 1.0)
            return found
        finally:
            self._taken -= 1
            self._ahead = self._ahead - cost if self._taken else 0.0
            self._metrics.queue_depth.dec()

    def _cost(self, work: Work) -> float:
        return self._seconds[work] / self._answers[work]

    def _learn(self, work: Work, share: float) -> None:
        now = self._now()
        took, self._last = now - self._last, now
        kept = math.exp(-took / _MEMORY)
        self._seconds[work] = kept * self._seconds[work] + share * took
        self._answers[work] = kept * self._answers[work] + 1.0

    def _overloaded(self, reason: str, seconds: float) -> Overloaded:
        self._metrics.rejected.labels(reason).inc()
        wait = max(1, math.ceil(seconds))
        return Overloaded(f"more is asked than can be answered in time: try again in {wait} seconds", wait)
