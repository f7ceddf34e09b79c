"""A budget of memory for pictures that are being decoded: a small file may hold a picture of hundreds of megabytes."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from promptsearch.errors import PictureTooLarge

DECODE_MEMORY = 2**28  # bytes: a picture of 50 million pixels, or many of usual sizes


class DecodeMemory(Protocol):
    """What pictures may take while they are decoded, all together."""

    def hold(self, needed: int, /) -> AbstractContextManager[None]:
        """Wait until `needed` bytes are free and hold them in the block. Raises PictureTooLarge if they never are."""


class ThreadsMemory:
    """Memory that the threads of one process share, first come, first served."""

    def __init__(self, total: int = DECODE_MEMORY) -> None:
        """Share `total` bytes."""
        self._total = self._free = total
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, needed: int) -> Iterator[None]:
        """Hold so many bytes; see `DecodeMemory`."""
        require_memory(needed, self._total)
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            self._changed.wait_for(lambda: self._waiting[0] is turn and self._free >= needed)
            self._waiting.popleft()
            self._free -= needed
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += needed
                self._changed.notify_all()


def require_memory(needed: int, total: int) -> None:
    """Raise PictureTooLarge for more than `total` bytes."""
    if needed > total:
        raise PictureTooLarge(
            f"decoding the picture takes {math.ceil(needed / 2**20)} MiB of memory, {total >> 20} are allowed: "
            "send a smaller picture"
        )
