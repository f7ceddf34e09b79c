"""Equal computations at the same time are computed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Running computations by key. One is cancelled when its last waiter leaves; for the event loop alone."""

    def __init__(self) -> None:
        self._calls: dict[Hashable, _Call[T]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._calls

    async def run(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `compute`, or the running computation of the same key, returns; raises what it raises."""
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call(asyncio.create_task(compute()))
            call.task.add_done_callback(lambda task: self._remove(key, task))
        call.waiters += 1
        try:
            return await asyncio.shield(call.task)
        finally:
            call.waiters -= 1
            if not call.waiters and not call.task.done():
                self._remove(key, call.task)  # at once: no request may join a task that is about to be cancelled
                call.task.cancel()

    def _remove(self, key: Hashable, task: asyncio.Task[T]) -> None:
        call = self._calls.get(key)
        if call is not None and call.task is task:
            del self._calls[key]
        if task.done() and not task.cancelled():
            task.exception()  # mark it as retrieved, even if the last waiter left as it was raised


class _Call(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiters = 0
