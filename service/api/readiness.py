"""Whether searches can be answered now. The service checks itself, so that probes need not wait for a search."""

from __future__ import annotations

import asyncio
import time

from promptsearch.errors import NotReady

from ..catalogue.catalogue import Catalogue
from ..responses import schemas
from ..search.search_service import SearchService

INTERVAL = 5.0  # seconds between two checks
TIMEOUT = 30.0  # seconds without a passed check after which the service counts as hanging


class ReadinessCheck:
    """The last self-check, which encodes and searches in each collection. The catalogue's own was the first."""

    def __init__(self, catalogue: Catalogue, service: SearchService) -> None:
        self._catalogue = catalogue
        self._service = service
        self._passed = time.monotonic()
        self._failure: str | None = None

    async def keep_checking(self) -> None:
        """Check every INTERVAL seconds until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            failures = await self._service.check()
            if len(failures) < len(self._catalogue.served):
                self._failure, self._passed = None, time.monotonic()
            else:
                reasons = "; ".join(failures.values()) or "no collection is served"
                self._failure = f"the last self-check failed: {reasons}"

    def status(self) -> schemas.Readiness:
        """Return the status; raises NotReady if the last check failed in every collection, or none has passed for
        TIMEOUT seconds."""
        if self._failure is not None:
            raise NotReady(self._failure)
        since = time.monotonic() - self._passed
        if since > TIMEOUT:
            raise NotReady(
                f"no self-check has passed for {since:.0f} seconds, expected one every {INTERVAL:.0f}: see the log and "
                "restart the service"
            )
        problems = dict(self._catalogue.problems)
        status = "degraded" if problems else "verifying" if self._catalogue.verifying else "ready"
        return schemas.Readiness(status=status, problems=problems)
