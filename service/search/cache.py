"""What was asked lately, within a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

from ..ops.metrics import Metrics
from .singleflight import Flights

T = TypeVar("T")

_ENTRY = 500  # bytes that an entry costs beside its value: the key and the tables


class Cache(Generic[T]):
    """Keeps what was used last, and computes at once only once. For the event loop alone, so that it needs no lock.

    `name` is what the metrics call it; `size` gives a value's bytes. With `max_bytes` 0 nothing is kept.
    """

    def __init__(self, name: str, max_bytes: int, size: Callable[[T], int], metrics: Metrics) -> None:
        self._name = name
        self._values: LRUCache[Hashable, T] = LRUCache(max_bytes, getsizeof=lambda value: size(value) + _ENTRY)
        self._flights: Flights[T] = Flights()
        self._metrics = metrics

    def get(self, key: Hashable) -> T | None:
        """What is kept; a miss is counted by `compute`, which follows it."""
        value = self._values.get(key)
        if value is not None:
            self._metrics.cache_lookup(self._name, "hit")
        return value

    def is_under_way(self, key: Hashable) -> bool:
        return key in self._flights

    async def compute(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What is not kept yet, computed once for all that ask meanwhile; raises what `compute` does."""
        self._metrics.cache_lookup(self._name, "shared" if key in self._flights else "miss")
        return await self._flights.join(key, lambda: self._kept(key, compute))

    async def _kept(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        value = await compute()
        if self._values.getsizeof(value) <= self._values.maxsize:
            self._values[key] = value
        return value
