"""The collections of an object store on this disk, in the layout that they have there: what `Collection.open` opens.

A version is brought into a place of its own, file by file, and becomes `current` here only when all of it was checked.
So a crash, or another process that does the same, finds either the old version or the new one, and files that were
brought once are not brought again. The version before stays; older ones are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from promptsearch.errors import CollectionError, StoreError, UnknownCollection
from promptsearch.remote.store import Entry, Store
from promptsearch.remote.verified_download import all_verified, download_verified, is_plain_name
from promptsearch.storage.manifest import FILES, Manifest
from promptsearch.system.files import replace_bytes, replace_text, sync_folder

log = logging.getLogger(__name__)

CACHE = Path("~/.cache/prompt-search")


def cache_folder(cache: Path, url: str) -> Path:
    """Where, in a cache, what lies at `url` is kept: the same for every process, legible, and no other URL's."""
    legible = re.sub(r"[^A-Za-z0-9.]+", "-", url).strip("-.")
    return cache.expanduser().absolute() / f"{legible}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def exclusive_lock(folder: Path, name: str) -> Iterator[None]:
    """Held until the block ends, or its process does; others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fetch_collection(url: str, cache: Path) -> Path:
    """The folder, in a cache, of one collection at a URL, as it is there now; raises as `Mirror` does."""
    parent, _, name = url.rstrip("/").rpartition("/")
    mirror = Mirror(parent, cache)
    while not mirror.switch(name, mirror.fetch(name).version):
        pass  # a newer one was published meanwhile
    return mirror.folder / name


class Mirror:
    """The collections at one URL. `folder` is an indices folder.

    Methods raise StoreError where the store cannot be reached, CollectionError where what it holds is damaged, and
    UnknownCollection where it is not there. Safe for several processes on one cache.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.store = Store(url)
        self.folder = cache_folder(cache, self.store.url)
        self._hidden: dict[str, object] = {}  # the state of each `hidden` that was brought last

    def look(self) -> dict[str, object]:
        """Bring what is taken down, and remove collections that the store no longer has.

        Returns what changes whenever a collection's `current` is written, by the collection's name.
        """
        stamps = {}
        for name in self._names():
            entries = self.store.entries(name)
            if FILES.current in entries:
                stamps[name] = entries[FILES.current].stamp
                if (self.folder / name).is_dir():
                    self._bring_hidden(name, entries.get(FILES.hidden))
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if is_plain_name(path.name) and path.name not in stamps:
                shutil.rmtree(path)
        return stamps

    def fetch(self, name: str) -> Manifest:
        """What the store's `current` names, with every file brought and checked; it is not current here yet."""
        with exclusive_lock(self.folder, name):
            return self._fetch(name, self._current(name))

    def switch(self, name: str, version: str) -> bool:
        """Make a version that was fetched the current one here, if it still is that in the store."""
        with exclusive_lock(self.folder, name):
            if self._current(name) != version:
                return False
            collection, entries = self.folder / name, self.store.entries(name)
            self._place(name, version)
            self._bring_hidden(name, entries.get(FILES.hidden))
            before = _text(collection / FILES.current)
            if before != version:
                replace_text(collection / FILES.current, version + "\n")
                _remove_others(collection, {version, before})
                log.info("collection %s: version %s was brought from %s", name, version, self.store.url)
            # How long ago it was replaced there decides how long the version before is asked for.
            if (modified := entries[FILES.current].modified) is not None:
                os.utime(collection / FILES.current, (modified, modified))
            return True

    def fetch_previous(self, name: str, within: float) -> None:
        """The version before the current one, too, where it was replaced in the last `within` seconds."""
        with exclusive_lock(self.folder, name):
            collection = self.folder / name
            if len([*(collection / FILES.versions).iterdir()]) > 1:
                return
            if time.time() - (collection / FILES.current).stat().st_mtime > within:
                return
            there = self.store.entries(f"{name}/{FILES.versions}")
            others = {version for version in there if is_plain_name(version)} - {_text(collection / FILES.current)}
            if others:
                previous = max(others)  # their names are times
                self._fetch(name, previous)
                self._place(name, previous)

    def _names(self) -> list[str]:
        try:
            return sorted(
                name for name, entry in self.store.entries().items() if entry.stamp is None and is_plain_name(name)
            )
        except FileNotFoundError:
            raise StoreError(f"there is nothing at {self.store.url}") from None

    def _current(self, name: str) -> str:
        place = f"{self.store.url}/{name}/{FILES.current}"
        try:
            version = self.store.read(f"{name}/{FILES.current}").decode().strip()
        except FileNotFoundError:
            raise UnknownCollection(
                f"{self.store.url}/{name} is no published collection: it has no file `{FILES.current}`"
            ) from None
        except UnicodeDecodeError as error:
            raise CollectionError(f"{place} cannot be read: {error}") from None
        if not is_plain_name(version):
            raise CollectionError(f"{place} names the version {version!r}, which cannot be one")
        return version

    def _fetch(self, name: str, version: str) -> Manifest:
        key = f"{name}/{FILES.versions}/{version}"
        final, staging = self.folder / name / FILES.versions / version, self._staging(name) / version
        try:
            text = self.store.read(f"{key}/{FILES.manifest}")
        except FileNotFoundError:
            raise CollectionError(f"{self.store.url}/{key} has no {FILES.manifest}: upload it again") from None
        if final.is_dir():
            if _bytes(final / FILES.manifest) == text and all_verified(final, (manifest := Manifest.read(final)).files):
                return manifest
            shutil.rmtree(staging, ignore_errors=True)
            staging.parent.mkdir(exist_ok=True)
            final.rename(staging)  # something has changed it: what is still right is taken over
        staging.mkdir(parents=True, exist_ok=True)
        replace_bytes(staging / FILES.manifest, text)
        manifest = Manifest.read(staging)
        fetched = download_verified(self.store, key, manifest.files, staging, CollectionError)
        log.info("collection %s: fetched %d bytes of version %s", name, fetched, version)
        return manifest

    def _place(self, name: str, version: str) -> None:
        """Give a version that was fetched the place where it is looked for."""
        staging, versions = self._staging(name) / version, self.folder / name / FILES.versions
        if staging.is_dir():
            versions.mkdir(parents=True, exist_ok=True)
            staging.rename(versions / version)
            sync_folder(versions)
            shutil.rmtree(staging.parent)  # and what was begun of others

    def _staging(self, name: str) -> Path:
        return self.folder / f".{name}.staging"

    def _bring_hidden(self, name: str, entry: Entry | None) -> None:
        path, stamp = self.folder / name / FILES.hidden, entry and entry.stamp
        if name in self._hidden and self._hidden[name] == stamp:
            return
        if entry is None:
            path.unlink(missing_ok=True)
        elif (data := self.store.read(f"{name}/{FILES.hidden}")) != _bytes(path):
            replace_bytes(path, data)
        self._hidden[name] = stamp


def _remove_others(collection: Path, kept: set[str]) -> None:
    for version in (collection / FILES.versions).iterdir():
        if version.name not in kept:
            shutil.rmtree(version)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _text(path: Path) -> str:
    return (_bytes(path) or b"").decode(errors="replace").strip()
