"""What glibc does with memory: much that was freed stays with the process unless it is told otherwise."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # malloc.h: M_MMAP_THRESHOLD, M_ARENA_MAX
_LARGE = 128 << 10  # bytes: where glibc begins, before it has seen large blocks freed
_ARENAS = 2  # heaps that threads share; glibc's default is eight a core, each with what its threads have freed


def trim_heap() -> None:
    """To be called after what allocated and freed much; without glibc it does nothing."""
    _call("malloc_trim", 0)


def limit_arenas() -> None:
    """For a process that loads much and then serves for long: to be called before it does either.

    Large blocks lie in mappings of their own, which end when they are freed, so that what is loaded leaves no holes;
    and few heaps are kept. Without glibc it does nothing.
    """
    _call("mallopt", _MMAP_THRESHOLD, _LARGE)
    _call("mallopt", _ARENA_MAX, _ARENAS)


def _call(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)
