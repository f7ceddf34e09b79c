"""Whether searches can be answered now: asked by the service of itself, so that probes need not wait for an answer."""

from __future__ import annotations

import asyncio
import logging
import time

from promptsearch.errors import NotReady

from ..catalogue.catalogue import Catalogue
from ..responses import schemas
from ..search.searching import Searching

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds between two checks
PATIENCE = 30.0  # seconds without a check that passed, after which something hangs


class Readiness:
    """The last self-check, which really encoded and searched in each collection. The catalogue's own was the first."""

    def __init__(self, catalogue: Catalogue, searching: Searching) -> None:
        self._catalogue = catalogue
        self._searching = searching
        self._passed = time.monotonic()
        self._failure: str | None = None

    async def keep_checking(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._searching.check()
            except Exception as error:
                log.exception("the self-check failed")
                self._failure = f"the last self-check failed: {error}"
            else:
                self._failure, self._passed = None, time.monotonic()

    def status(self) -> schemas.Readiness:
        """Raises NotReady where the last check failed, or has not come back for long."""
        if self._failure is not None:
            raise NotReady(self._failure)
        since = time.monotonic() - self._passed
        if since > PATIENCE:
            raise NotReady(f"the last self-check that passed was {since:.0f} seconds ago: something hangs")
        problems = {**self._catalogue.refused, **self._catalogue.outdated}
        return schemas.Readiness(status="degraded" if problems else "ready", problems=problems)
