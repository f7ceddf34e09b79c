"""Half precision to single, faster than NumPy, which converts one number at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Sign, exponent and fraction of a half, moved to where a single has them; the exponent then is 112 too small, which a
# product makes up for, of subnormal numbers too.
_MOVED = 13
_KEPT = np.int32(-0x70002000)  # without the copies of the sign
_MISSING = np.float32(2.0**112)


def to_float32(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """The same finite numbers, float16 [...] -> float32 [...], bit for bit."""
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= _MOVED
    bits &= _KEPT
    numbers = bits.view(np.float32)
    numbers *= _MISSING
    return numbers
