"""The memory that the processes of a pool share for pictures that are being decoded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext

from promptsearch.encoding.decode_memory import require_memory

TOTAL = 2**30  # bytes: the largest picture in any format, or dozens of usual sizes
_UNIT = 2**24  # bytes


class ProcessesMemory:
    """Implements `promptsearch.encoding.decode_memory.DecodeMemory` for processes that inherit it.

    What a process holds when it is killed is lost: a pool that broke needs a new one.
    """

    def __init__(self, context: BaseContext, total: int = TOTAL) -> None:
        """Share `total` bytes."""
        self._total = total
        self._free = context.Semaphore(math.ceil(total / _UNIT))
        self._turn = context.Lock()  # or two processes could wait for each other with half of what they need

    @contextmanager
    def hold(self, needed: int) -> Iterator[None]:
        """Hold so many bytes; see `DecodeMemory`."""
        require_memory(needed, self._total)
        units = range(math.ceil(needed / _UNIT))
        with self._turn:
            for _ in units:
                self._free.acquire()
        try:
            yield
        finally:
            for _ in units:
                self._free.release()
