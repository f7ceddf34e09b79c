"""Copies on this disk of what is in object stores, kept up to date in the background.

One thread lists the stores every few seconds and another downloads what is new, so that a takedown does not wait for a
download. The catalogue looks at the copies as at any other folders.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from promptsearch.encoding.bundles import bundles_in
from promptsearch.errors import ArtefactError, PromptSearchError, StartError, StoreError, UnknownCollection, one_line
from promptsearch.remote.collections import Mirror
from promptsearch.remote.models import ModelMirror
from promptsearch.storage.manifest import FILES, Manifest, ModelReference, current_version

from ..settings import Settings

log = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds between two polls of a store, each of one listing per collection
KEEP_PREVIOUS = 600.0  # seconds that the previous version is kept open for its cursors


class Mirrors:
    """Mirrors of all URLs in the settings.

    `indices` and `models` are the settings' folders, with the mirror's folder in place of each URL.
    """

    def __init__(self, settings: Settings) -> None:
        """Raise NotInstalled, or StoreError for a URL whose scheme is not supported."""
        self._collections = {url: Mirror(url, settings.cache) for url in settings.indices if isinstance(url, str)}
        self._bundles = {url: ModelMirror(url, settings.cache) for url in settings.models if isinstance(url, str)}
        self.indices = [
            self._collections[place].folder if isinstance(place, str) else place for place in settings.indices
        ]
        self.models = [self._bundles[place].folder if isinstance(place, str) else place for place in settings.models]
        self._local_models = [place for place in settings.models if isinstance(place, Path)]
        self._unreachable: dict[str, str] = {}  # URL -> reason
        # By a collection's folder:
        self._failed: dict[Path, str] = {}  # why its newest version was not downloaded
        self._model_errors: dict[Path, str] = {}  # why its model was not downloaded
        self._latest: dict[Path, object] = {}  # the fingerprint of `current` in the store, as last seen
        self._handled: dict[Path, object] = {}  # the fingerprint for which nothing is left to do
        self._handled_models: set[str] = set()  # identities
        self._poll_now, self._fetch_now, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._poll_lock = threading.Lock()

    def start(self) -> None:
        """Download everything once and continue in threads; raises StartError if a store cannot be reached."""
        if not self._collections and not self._bundles:
            return
        self.poll()
        if self._unreachable:
            raise StartError("; ".join(self._unreachable.values()))
        self.fetch()
        for work in (self._keep_polling, self._keep_fetching):
            threading.Thread(target=work, daemon=True).start()  # a download does not delay the end of the process

    def close(self) -> None:
        """End the threads."""
        for event in (self._ended, self._poll_now, self._fetch_now):
            event.set()

    @property
    def errors(self) -> Mapping[Path, str]:
        """Return why the newest version of a collection may not be here, by its folder."""
        unreachable = {
            folder: reason
            for url, reason in self._unreachable.copy().items()
            for folder in self._latest.copy()
            if folder.parent == self._collections[url].folder
        }
        return {**unreachable, **self._model_errors.copy(), **self._failed.copy()}

    def behind(self, folder: Path) -> bool:
        """Return whether the store, as last seen, has a newer version of a collection than its folder here."""
        return self._latest.get(folder) != self._handled.get(folder) or folder in self._failed

    def retry(self) -> None:
        """Look now, and retry what failed."""
        self._handled.clear()
        self._handled_models.clear()
        self._model_errors = {}
        self._poll_now.set()

    def poll(self) -> None:
        """List the stores. Takedowns are applied at once, the rest is downloaded by `fetch`."""
        with self._poll_lock:
            for url, mirror in self._collections.items():
                try:
                    fingerprints = {mirror.folder / name: fingerprint for name, fingerprint in mirror.poll().items()}
                except (StoreError, OSError) as error:
                    self._unreachable[url] = one_line(error)
                    continue
                self._unreachable.pop(url, None)
                for removed in {
                    folder for folder in self._latest if folder.parent == mirror.folder
                } - fingerprints.keys():
                    for by_folder in (self._latest, self._handled, self._failed):
                        by_folder.pop(removed, None)
                self._latest.update(fingerprints)
        if any(self._new_versions()) or any(self._collections_without_model()):
            self._fetch_now.set()

    def fetch(self) -> None:
        """Download what was seen and is not here yet. Only one thread at a time may call it."""
        new_versions = [*self._new_versions()]
        for mirror, folder in new_versions:
            self._fetch_version(mirror, folder)
        for folder, reference in [*self._collections_without_model()]:
            try:
                self._fetch_model(reference)
            except ArtefactError as error:
                self._model_errors[folder] = one_line(error)
                self._handled_models.add(reference.identity)
            except (PromptSearchError, OSError) as error:
                self._model_errors[folder] = one_line(error)
            else:
                self._model_errors.pop(folder, None)
        for mirror, folder in new_versions:
            if folder not in self._failed:
                try:
                    mirror.fetch_previous(folder.name, KEEP_PREVIOUS)
                except (PromptSearchError, OSError) as error:  # other replicas may answer its cursors
                    log.warning("cannot download the previous version of %s: %s", folder.name, error)

    def _fetch_version(self, mirror: Mirror, folder: Path) -> None:
        fingerprint = self._latest.get(folder)
        try:
            manifest = mirror.fetch(folder.name)
            self._fetch_model(manifest.model)
            mirror.switch(folder.name, manifest.version)
        except (ArtefactError, UnknownCollection) as error:
            self._failed[folder] = one_line(error)  # it is not retried until `current` is written again
            self._handled[folder] = fingerprint
        except (PromptSearchError, OSError) as error:
            self._failed[folder] = one_line(error)
        else:
            self._failed.pop(folder, None)
            self._handled[folder] = fingerprint

    def _fetch_model(self, model: ModelReference) -> None:
        if model.identity in self._handled_models:
            return
        local = bundles_in(self._local_models, lambda _path, _error: None)
        if any(bundle.identity == model.identity for bundle in local) or any(
            mirror.fetch(model) for mirror in self._bundles.values()
        ):
            self._handled_models.add(model.identity)

    def _new_versions(self) -> Iterator[tuple[Mirror, Path]]:
        for mirror in self._collections.values():
            for folder, fingerprint in self._latest.copy().items():
                if folder.parent == mirror.folder and self._handled.get(folder) != fingerprint:
                    yield mirror, folder

    def _collections_without_model(self) -> Iterator[tuple[Path, ModelReference]]:
        """Yield collections here, whether from a store or not, whose model may have to be downloaded."""
        for folder in self.indices if self._bundles else ():
            for current in folder.glob(f"*/{FILES.current}"):
                try:
                    reference = Manifest.read(current_version(current.parent)).model
                except (ArtefactError, UnknownCollection):  # the catalogue reports the error
                    continue
                if reference.identity not in self._handled_models:
                    yield current.parent, reference

    def _keep_polling(self) -> None:
        while not self._ended.is_set():
            self._poll_now.wait(POLL_INTERVAL)
            self._poll_now.clear()
            self._try(self.poll)

    def _keep_fetching(self) -> None:
        while not self._ended.is_set():
            self._fetch_now.wait()
            self._fetch_now.clear()
            self._try(self.fetch)

    def _try(self, work: Callable[[], None]) -> None:
        if not self._ended.is_set():
            try:
                work()
            except Exception:  # local versions stay served, and the next attempt may succeed
                log.exception("cannot update from the object stores")
