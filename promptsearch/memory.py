"""Memory that was freed, given back to the system: glibc keeps it otherwise."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """To be called after what allocated and freed much; without glibc it does nothing."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
