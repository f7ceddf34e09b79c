"""Settings of glibc's malloc, which by default keeps much of what a process frees."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # malloc.h: M_MMAP_THRESHOLD, M_ARENA_MAX
_LARGE = 128 << 10  # bytes: glibc's initial threshold, which it raises when large blocks are freed
_ARENAS = 2  # heaps shared by all threads; glibc's default is eight a core


def trim_heap() -> None:
    """Return freed memory to the system. Call it after much was allocated and freed. Without glibc it does nothing."""
    _call("malloc_trim", 0)


def limit_arenas() -> None:
    """Keep the process small that loads much and then serves for long. Call it first.

    Large blocks get mappings of their own, which end when they are freed and leave no holes, and threads share few
    heaps. Without glibc it does nothing.
    """
    _call("mallopt", _MMAP_THRESHOLD, _LARGE)
    _call("mallopt", _ARENA_MAX, _ARENAS)


def _call(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)
