"""Running a computation for a client: admission, sharing, caching, and cancellation if no client waits for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from starlette.requests import Request

from ..access.admission import Admission, Work
from ..ops.metrics import Metrics
from ..responses.response_builder import CachedResponse
from .cache import Cache
from .cancel_on_disconnect import cancel_on_disconnect

T = TypeVar("T")

Compute = Callable[[], Coroutine[Any, Any, T]]


class Runner:
    """Runs coroutines under admission; for the event loop alone."""

    def __init__(self, admission: Admission, cache_bytes: int, metrics: Metrics) -> None:
        self._admission = admission
        self._responses: Cache[CachedResponse] = Cache("answers", cache_bytes, len, metrics)

    async def run(self, request: Request, work: Work, compute: Compute[T]) -> T:
        """Return what `compute` returns; raises what it raises, Overloaded, and ClientDisconnect."""
        return await cancel_on_disconnect(request, self._admission.run(work, compute))

    async def run_once(
        self, request: Request, key: Hashable | None, work: Work, compute: Compute[CachedResponse]
    ) -> CachedResponse:
        """Return the cached response of `key`, or compute it once for all clients that wait for it; raises as `run`.

        A response with the key None is neither cached nor shared.
        """
        if key is None:
            return await self.run(request, work, compute)
        cached = self._responses.get(key)
        if cached is not None:
            return cached
        if not self._responses.is_computing(key):
            self._admission.check(work)  # a refusal needs no tasks
        return await cancel_on_disconnect(
            request, self._responses.compute(key, lambda: self._admission.run(work, compute))
        )
