"""What lies in object stores, kept up to date on this disk beside the requests.

One thread looks at the stores every few seconds; another brings what is new, so that a takedown waits for no download.
The catalogue looks at the folders here, as at any others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from promptsearch.encoding.bundles import bundles_in
from promptsearch.errors import ArtefactError, PromptSearchError, StartError, StoreError, UnknownCollection
from promptsearch.remote.collections import Mirror
from promptsearch.remote.models import ModelMirror
from promptsearch.storage.manifest import FILES, Manifest, ModelReference, current_version

from ..settings import Settings

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds between two looks at a store, each of one listing a collection
KEPT = 600.0  # seconds that the version before the current one can be asked for, for cursors


class Mirrors:
    """`indices` and `models` are the settings' folders, with a folder of this disk for each URL."""

    def __init__(self, settings: Settings) -> None:
        """Raises NotInstalled, and StoreError for a URL of no kind that is known."""
        self._collections = {url: Mirror(url, settings.cache) for url in settings.indices if isinstance(url, str)}
        self._bundles = {url: ModelMirror(url, settings.cache) for url in settings.models if isinstance(url, str)}
        self.indices = [self._collections[one].folder if isinstance(one, str) else one for one in settings.indices]
        self.models = [self._bundles[one].folder if isinstance(one, str) else one for one in settings.models]
        self._local_models = [one for one in settings.models if isinstance(one, Path)]
        self._unreachable: dict[str, str] = {}  # URL -> why
        self._failed: dict[Path, str] = {}  # a collection's folder -> why its newest version was not brought
        self._seen: dict[Path, object] = {}  # … and when its `current` was written, as was seen last
        self._done: dict[Path, object] = {}  # … and for which of those all was done that can be
        self._models_done: set[str] = set()  # identities
        self._without: dict[Path, str] = {}  # a collection's folder -> why its model was not brought
        self._wake, self._news, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._looking = threading.Lock()

    def start(self) -> None:
        """Bring everything once, and go on in threads; raises StartError where a store cannot be reached."""
        if not self._collections and not self._bundles:
            return
        self.look()
        if self._unreachable:
            raise StartError("; ".join(self._unreachable.values()))
        self.fetch()
        for work in (self._keep_looking, self._keep_fetching):
            threading.Thread(target=work, daemon=True).start()  # a download does not hold up the end of the process

    def close(self) -> None:
        for event in (self._ended, self._wake, self._news):
            event.set()

    @property
    def wrong(self) -> Mapping[Path, str]:
        """Collections of stores whose newest version may not be here, by their folders, and why."""
        unreachable = {
            folder: why
            for url, why in self._unreachable.copy().items()
            for folder in self._seen.copy()
            if folder.parent == self._collections[url].folder
        }
        return {**unreachable, **self._without.copy(), **self._failed.copy()}

    def behind(self, folder: Path) -> bool:
        """Whether the store has a newer version of a collection than its folder here, as far as is known."""
        return self._seen.get(folder) != self._done.get(folder) or folder in self._failed

    def retry(self) -> None:
        """Look now, and try again what was refused."""
        self._done.clear()
        self._models_done.clear()
        self._without = {}
        self._wake.set()

    def look(self) -> None:
        """See what the stores have now. What is taken down is brought at once, the rest by `fetch`."""
        with self._looking:
            for url, mirror in self._collections.items():
                try:
                    stamps = {mirror.folder / name: stamp for name, stamp in mirror.look().items()}
                except (StoreError, OSError) as error:
                    self._unreachable[url] = _one_line(error)
                    continue
                self._unreachable.pop(url, None)
                for gone in {folder for folder in self._seen if folder.parent == mirror.folder} - stamps.keys():
                    for known in (self._seen, self._done, self._failed):
                        known.pop(gone, None)
                self._seen.update(stamps)
        if any(self._wanted()) or any(self._without_model()):
            self._news.set()

    def fetch(self) -> None:
        """Bring what was seen and is not here yet. One thread at a time."""
        wanted = [*self._wanted()]
        for mirror, folder in wanted:
            self._bring(mirror, folder)
        for folder, reference in [*self._without_model()]:
            try:
                self._bring_model(reference)
            except ArtefactError as error:
                self._without[folder] = _one_line(error)
                self._models_done.add(reference.identity)
            except (PromptSearchError, OSError) as error:
                self._without[folder] = _one_line(error)
            else:
                self._without.pop(folder, None)
        for mirror, folder in wanted:
            if folder not in self._failed:
                try:
                    mirror.fetch_previous(folder.name, KEPT)
                except (PromptSearchError, OSError) as error:  # its cursors are answered by other replicas, if any
                    log.warning("the version before the current one of %s is not brought: %s", folder.name, error)

    def _bring(self, mirror: Mirror, folder: Path) -> None:
        stamp = self._seen.get(folder)
        try:
            manifest = mirror.fetch(folder.name)
            self._bring_model(manifest.model)
            mirror.switch(folder.name, manifest.version)
        except (ArtefactError, UnknownCollection) as error:
            self._failed[folder] = _one_line(error)  # and so it stays until `current` is written again
            self._done[folder] = stamp
        except (PromptSearchError, OSError) as error:
            self._failed[folder] = _one_line(error)
        else:
            self._failed.pop(folder, None)
            self._done[folder] = stamp

    def _bring_model(self, wanted: ModelReference) -> None:
        if wanted.identity in self._models_done:
            return
        here = bundles_in(self._local_models, lambda _path, _error: None)
        if any(bundle.identity == wanted.identity for bundle in here) or any(
            mirror.fetch(wanted) for mirror in self._bundles.values()
        ):
            self._models_done.add(wanted.identity)

    def _wanted(self) -> Iterator[tuple[Mirror, Path]]:
        for mirror in self._collections.values():
            for folder, stamp in self._seen.copy().items():
                if folder.parent == mirror.folder and self._done.get(folder) != stamp:
                    yield mirror, folder

    def _without_model(self) -> Iterator[tuple[Path, ModelReference]]:
        """Collections here, also those that are in no store, whose model may have to be brought."""
        for folder in self.indices if self._bundles else ():
            for current in folder.glob(f"*/{FILES.current}"):
                try:
                    reference = Manifest.read(current_version(current.parent)).model
                except (ArtefactError, UnknownCollection):  # the catalogue says what is wrong with it
                    continue
                if reference.identity not in self._models_done:
                    yield current.parent, reference

    def _keep_looking(self) -> None:
        while not self._ended.is_set():
            self._wake.wait(EVERY)
            self._wake.clear()
            self._try(self.look)

    def _keep_fetching(self) -> None:
        while not self._ended.is_set():
            self._news.wait()
            self._news.clear()
            self._try(self.fetch)

    def _try(self, work: Callable[[], None]) -> None:
        if not self._ended.is_set():
            try:
                work()
            except Exception:  # whatever it is, what is here is served on, and the next look may be better
                log.exception("what lies in the object stores cannot be brought")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
