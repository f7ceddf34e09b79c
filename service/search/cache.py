"""Values that were used lately, within a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

from ..ops.metrics import Metrics
from .singleflight import SingleFlight

T = TypeVar("T")

_ENTRY = 500  # bytes of an entry besides its value: the key and the tables


class Cache(Generic[T]):
    """A least-recently-used cache that computes each missing value once. For the event loop alone: it has no lock."""

    def __init__(self, name: str, max_bytes: int, size: Callable[[T], int], metrics: Metrics) -> None:
        """Label the metrics with `name`. `size` returns a value's bytes; with `max_bytes` 0 nothing is cached."""
        self._name = name
        self._values: LRUCache[Hashable, T] = LRUCache(max_bytes, getsizeof=lambda value: size(value) + _ENTRY)
        self._computing: SingleFlight[T] = SingleFlight()
        self._metrics = metrics

    def get(self, key: Hashable) -> T | None:
        """Return a cached value, or None. A miss is counted by the `compute` that follows it."""
        value = self._values.get(key)
        if value is not None:
            self._metrics.cache_lookup(self._name, "hit")
        return value

    def is_computing(self, key: Hashable) -> bool:
        """Return whether `compute` would wait for a computation that runs already."""
        return key in self._computing

    async def compute(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the value of a key that is not cached, computed once for all that wait; raises what `compute` does."""
        self._metrics.cache_lookup(self._name, "shared" if key in self._computing else "miss")
        return await self._computing.run(key, lambda: self._store(key, compute))

    async def _store(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        value = await compute()
        if self._values.getsizeof(value) <= self._values.maxsize:
            self._values[key] = value
        return value
