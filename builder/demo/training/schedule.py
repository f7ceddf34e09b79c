"""The learning rate over a run whose length is given in wall time."""

from __future__ import annotations

import math

WARM_UP = 0.03  # share of the run


def rate(peak: float, progress: float) -> float:
    """Return the rate: a linear warm-up, then a cosine down to 1 % of the peak; `progress` runs from 0 to 1."""
    if progress < WARM_UP:
        return peak * (0.02 + 0.98 * progress / WARM_UP)
    turn = (progress - WARM_UP) / (1 - WARM_UP)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * min(turn, 1.0))) / 2)
