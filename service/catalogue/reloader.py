"""New versions, new collections and takedowns are served without a restart."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from promptsearch.errors import VersionPending

from ..ops.metrics import Metrics
from .catalogue import Catalogue, Served

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two refreshes, each of a `stat` per collection
FIND_TIMEOUT = 2.0  # seconds that a request waits while its version is looked for
RETRY_AFTER = 1  # seconds, if that was not long enough: another replica may have the version


class Reloader:
    """Refreshes a catalogue when something has changed, in a thread: opening a version delays no request."""

    def __init__(self, catalogue: Catalogue, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._metrics = metrics
        self._requested = asyncio.Event()
        self._refresh_lock, self._lookup_lock = asyncio.Lock(), asyncio.Lock()
        self._next_lookup: asyncio.Task[None] | None = None  # not yet started
        self._next_versions: set[tuple[str, str]] = set()  # (collection, version) that it will look for

    def refresh_now(self) -> None:
        """Refresh at once, and retry what could not be served (SIGHUP)."""
        self._requested.set()

    async def keep_refreshing(self) -> None:
        """Refresh every INTERVAL seconds until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._requested.wait(), INTERVAL)
            everything = self._requested.is_set()
            self._requested.clear()
            await self._refresh(everything=everything)

    async def find(self, served: Served, version: str) -> Served:
        """Return the version of a collection that a cursor continues in, or `served` if that version is gone.

        Replicas see a new version at different times, so a cursor may come from a version that this process has not
        seen yet, or from one before it started: then it is looked for. Raises VersionPending if that takes too long.
        """
        name = served.name
        if open_version := self._catalogue.version(name, version):
            return open_version
        self._next_versions.add((name, version))
        self._next_lookup = self._next_lookup or asyncio.create_task(self._find_versions())
        lookup = self._next_lookup
        await asyncio.wait([lookup], timeout=FIND_TIMEOUT)
        if open_version := self._catalogue.version(name, version):
            return open_version
        if not lookup.done() or await asyncio.to_thread(self._catalogue.may_appear, name, version):
            raise VersionPending(
                f"version {version} of this cursor is not served here yet: try again in {RETRY_AFTER} s", RETRY_AFTER
            )
        return served

    async def _find_versions(self) -> None:
        """Look once for all that wait; requests that arrive meanwhile wait for the next lookup."""
        async with self._lookup_lock:
            versions, self._next_lookup, self._next_versions = self._next_versions, None, set()
            await asyncio.to_thread(self._catalogue.mirrors.poll)
            await self._refresh(everything=False)
            missing = [version for version in versions if self._catalogue.version(*version) is None]
            if missing:
                async with self._refresh_lock:
                    await asyncio.to_thread(self._catalogue.reopen, missing)

    async def _refresh(self, *, everything: bool) -> None:
        async with self._refresh_lock:
            before = {name: served.collection.version for name, served in self._catalogue.served.items()}
            try:
                failed = await asyncio.to_thread(lambda: self._catalogue.refresh(everything=everything))
            except Exception:  # a folder that cannot be listed for now; open collections are still served
                log.exception("cannot look for new versions of collections")
                return
            for name in failed:
                self._metrics.reload_failures.labels(name).inc()
            for name, served in self._catalogue.served.items():
                if before.get(name) != served.collection.version:
                    self._metrics.serves(name, served.collection.version)
