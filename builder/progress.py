"""The progress of a long stage: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

log = logging.getLogger(__name__)

EVERY = 30.0  # seconds between two lines


def say(message: str) -> None:
    """Log a line about the progress of a build, such as the start of a step."""
    log.info(message)


def silence() -> None:
    """Show no progress from here on: neither bars nor lines."""
    log.setLevel(logging.WARNING)


class Progress:
    """Count what is done of `total`, None if the total is not known. `now` is the clock of the log, in seconds."""

    def __init__(self, unit: str, total: int | None, now: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._total = unit, total
        self._done = 0
        self._now = now
        self._started = self._logged = now()
        shown = sys.stderr.isatty() and log.level <= logging.INFO
        self._bar = tqdm(total=total, desc=unit, unit=f" {unit}") if shown else None

    def add(self, count: int) -> None:
        """Count more as done, and show or log it."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif (now := self._now()) - self._logged >= EVERY:
            self._logged = now
            self._log(now - self._started)

    def _log(self, seconds: float) -> None:
        rate = self._done / seconds
        total = f" of {self._total:,}" if self._total else ""
        left = f", {(self._total - self._done) / rate:,.0f} s left" if self._total and self._done else ""
        log.info("%s: %s%s%s (%.1f a second)", self._unit, f"{self._done:,}", total, left, rate)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
