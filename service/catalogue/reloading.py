"""New versions, new collections and takedowns are served without a restart."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from promptsearch.errors import VersionPending

from ..ops.metrics import Metrics
from .catalogue import Catalogue, Served

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two looks at the disk, which cost a `stat` for each collection
PATIENCE = 2.0  # seconds that a request waits for such a look
RETRY_AFTER = 1  # seconds, where that was not long enough: another replica may well have the version


class Reloading:
    """Refreshes a catalogue whenever something changed, in a thread: opening and warming disturb no request."""

    def __init__(self, catalogue: Catalogue, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._metrics = metrics
        self._asked = asyncio.Event()
        self._one_at_a_time, self._searching = asyncio.Lock(), asyncio.Lock()
        self._next: asyncio.Task[None] | None = None  # the search for versions that has not begun yet
        self._wanted: set[tuple[str, str]] = set()  # … and for which, of which collections

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

    async def find(self, served: Served, version: str) -> Served:
        """The version of a collection in which a cursor goes on; `served` where it is gone, which will say so.

        Replicas see a new version at different times, so a cursor may come from one that this process has not seen yet,
        or from before it began: then it looks for it now. Raises VersionPending where that takes long.
        """
        name = served.name
        if found := self._catalogue.version(name, version):
            return found
        self._wanted.add((name, version))
        self._next = self._next or asyncio.create_task(self._search())
        search = self._next
        await asyncio.wait([search], timeout=PATIENCE)
        if found := self._catalogue.version(name, version):
            return found
        if not search.done() or await asyncio.to_thread(self._catalogue.awaits, name, version):
            raise VersionPending(
                f"this cursor belongs to version {version}, which is not served here yet: ask again", RETRY_AFTER
            )
        return served

    async def _search(self) -> None:
        """One for all that wait: one goes on, and those that come meanwhile wait for the next."""
        async with self._searching:
            wanted, self._next, self._wanted = self._wanted, None, set()
            await asyncio.to_thread(self._catalogue.mirrors.look)
            await self._look(everything=False)
            missing = [one for one in wanted if self._catalogue.version(*one) is None]
            if missing:
                async with self._one_at_a_time:
                    await asyncio.to_thread(self._catalogue.reopen, missing)

    async def _look(self, *, everything: bool) -> None:
        async with self._one_at_a_time:
            await self._look_alone(everything=everything)

    async def _look_alone(self, *, everything: bool) -> None:
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
