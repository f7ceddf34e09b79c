"""How far a long stage is: a bar with rate and time left on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

log = logging.getLogger(__name__)

EVERY = 30.0  # seconds between two lines


class Progress:
    """Counts what is done. `total` is None where nobody knows it; `now` is the clock of a log, in seconds."""

    def __init__(self, what: str, total: int | None, now: Callable[[], float] = time.monotonic) -> None:
        self._what, self._total = what, total
        self._done = 0
        self._now = now
        self._started = self._told = now()
        self._bar = tqdm(total=total, desc=what, unit=f" {what}") if sys.stderr.isatty() else None

    def add(self, count: int) -> None:
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif (now := self._now()) - self._told >= EVERY:
            self._told = now
            rate = self._done / (now - self._started)
            rest = f" of {self._total:,}, {(self._total - self._done) / rate:,.0f} s left" if self._total else ""
            log.info("%s: %s%s (%.1f a second)", self._what, f"{self._done:,}", rest, rate)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
