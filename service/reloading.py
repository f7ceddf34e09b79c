"""New versions, new collections and takedowns are served without a restart."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from service.catalogue import Catalogue
from service.metrics import Metrics

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two looks at the disk, which cost a `stat` for each collection


class Reloading:
    """Refreshes a catalogue whenever something changed, in a thread: opening and warming disturb no request."""

    def __init__(self, catalogue: Catalogue, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._metrics = metrics
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Look now, and try again what was refused (SIGHUP)."""
        self._asked.set()

    async def keep_looking(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), EVERY)
            everything = self._asked.is_set()
            self._asked.clear()
            await self._look(everything=everything)

    async def _look(self, *, everything: bool) -> None:
        before = {name: served.collection.version for name, served in self._catalogue.served.items()}
        try:
            refused = await asyncio.to_thread(lambda: self._catalogue.refresh(everything=everything))
        except Exception:  # a folder that cannot be listed, for now; what is open goes on
            log.exception("the collections' folders cannot be looked at")
            return
        for name in refused:
            self._metrics.reload_failures.labels(name).inc()
        for name, served in self._catalogue.served.items():
            if before.get(name) != served.collection.version:
                self._metrics.serves(name, served.collection.version)
