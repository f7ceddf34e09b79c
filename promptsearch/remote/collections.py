"""Local copies of the collections of an object store, in the same layout, for `Collection.open`.

A version is downloaded into a staging folder, file by file, and becomes `current` only when all files were checked. So
a crash, or another process that does the same, leaves the old version or the new one, and no file is downloaded twice.
The previous version is kept; older ones are removed.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

from promptsearch.errors import CollectionError, StoreError, UnknownCollection
from promptsearch.remote.cache import cache_folder, lock_entry
from promptsearch.remote.store import Entry, Store
from promptsearch.remote.verified_download import all_verified, download_verified, is_plain_name
from promptsearch.storage.manifest import FILES, Manifest, latest
from promptsearch.system.files import replace_bytes, replace_text, sync_folder

log = logging.getLogger(__name__)


def fetch_collection(url: str, cache: Path) -> Path:
    """Copy the current version of the collection at a URL, and return its local folder. Raises as `Mirror` does."""
    parent, _, name = url.rstrip("/").rpartition("/")
    mirror = Mirror(parent, cache)
    while not mirror.switch(name, mirror.fetch(name).version):
        pass  # another version was published meanwhile
    return mirror.folder / name


class Mirror:
    """The collections at one URL, copied to the indices folder `folder`.

    Methods raise StoreError if the store cannot be reached, CollectionError if the collection is damaged, and
    UnknownCollection if it does not exist. Several processes may share a cache.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.store = Store(url)
        self.folder = cache_folder(cache, self.store.url)
        self._hidden: dict[str, object] = {}  # by collection: the fingerprint of the `hidden` copied last

    def poll(self) -> dict[str, object]:
        """Copy the lists of hidden items, and remove collections that the store no longer has.

        Returns the fingerprint of each collection's `current`, which changes with every publication.
        """
        fingerprints = {}
        for name in self._names():
            entries = self.store.entries(name)
            if FILES.current in entries:
                fingerprints[name] = entries[FILES.current].fingerprint
                if (self.folder / name).is_dir():
                    self._copy_hidden(name, entries.get(FILES.hidden))
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if is_plain_name(path.name) and path.name not in fingerprints:
                shutil.rmtree(path)
        return fingerprints

    def fetch(self, name: str) -> Manifest:
        """Copy and check the files of the store's current version, without making it current here."""
        with lock_entry(self.folder, name):
            return self._fetch(name, self._current(name))

    def switch(self, name: str, version: str) -> bool:
        """Make a fetched version the current one here, and return False if the store has another one by now."""
        with lock_entry(self.folder, name):
            if self._current(name) != version:
                return False
            collection, entries = self.folder / name, self.store.entries(name)
            self._place(name, version)
            self._copy_hidden(name, entries.get(FILES.hidden))
            before = _text(collection / FILES.current)
            if before != version:
                replace_text(collection / FILES.current, version + "\n")
                _remove_others(collection, {version, before})
                log.info("collection %s: version %s was copied from %s", name, version, self.store.url)
            # The time of publication decides how long cursors of the previous version are answered.
            if (modified := entries[FILES.current].modified) is not None:
                os.utime(collection / FILES.current, (modified, modified))
            return True

    def fetch_previous(self, name: str, within: float) -> None:
        """Copy the previous version as well, if it was replaced in the last `within` seconds."""
        with lock_entry(self.folder, name):
            collection = self.folder / name
            if len([*(collection / FILES.versions).iterdir()]) > 1:
                return
            if time.time() - (collection / FILES.current).stat().st_mtime > within:
                return
            versions = self.store.entries(f"{name}/{FILES.versions}")
            others = {version for version in versions if is_plain_name(version)} - {_text(collection / FILES.current)}
            if (previous := latest(others)) is not None:
                self._fetch(name, previous)
                self._place(name, previous)

    def _names(self) -> list[str]:
        try:
            return sorted(
                name
                for name, entry in self.store.entries().items()
                if entry.fingerprint is None and is_plain_name(name)
            )
        except FileNotFoundError:
            raise StoreError(f"{self.store.url} does not exist or is empty") from None

    def _current(self, name: str) -> str:
        place = f"{self.store.url}/{name}/{FILES.current}"
        try:
            version = self.store.read(f"{name}/{FILES.current}").decode().strip()
        except FileNotFoundError:
            raise UnknownCollection(
                f"{self.store.url}/{name} is not a published collection: it has no file `{FILES.current}`"
            ) from None
        except UnicodeDecodeError as error:
            raise CollectionError(f"{place} cannot be read: {error}") from None
        if not is_plain_name(version):
            raise CollectionError(f"{place} names the version {version!r}, which is not a valid name")
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
            final.rename(staging)  # a changed copy: files that are still right are reused
        staging.mkdir(parents=True, exist_ok=True)
        replace_bytes(staging / FILES.manifest, text)
        manifest = Manifest.read(staging)
        fetched = download_verified(self.store, key, manifest.files, staging, CollectionError)
        log.info("collection %s: fetched %d bytes of version %s", name, fetched, version)
        return manifest

    def _place(self, name: str, version: str) -> None:
        """Move a fetched version from staging to its final place."""
        staging, versions = self._staging(name) / version, self.folder / name / FILES.versions
        if staging.is_dir():
            versions.mkdir(parents=True, exist_ok=True)
            staging.rename(versions / version)
            sync_folder(versions)
            shutil.rmtree(staging.parent)  # with downloads of other versions that were never completed

    def _staging(self, name: str) -> Path:
        return self.folder / f".{name}.staging"

    def _copy_hidden(self, name: str, entry: Entry | None) -> None:
        path, fingerprint = self.folder / name / FILES.hidden, entry and entry.fingerprint
        if name in self._hidden and self._hidden[name] == fingerprint:
            return
        if entry is None:
            path.unlink(missing_ok=True)
        elif (data := self.store.read(f"{name}/{FILES.hidden}")) != _bytes(path):
            replace_bytes(path, data)
        self._hidden[name] = fingerprint


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
