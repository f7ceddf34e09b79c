"""The model bundles of an object store on this disk: of all that lie there, those that a collection needs."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from promptsearch.encoding.bundle import FILES, Bundle
from promptsearch.errors import BundleError
from promptsearch.remote.collections import cache_folder, exclusive_lock
from promptsearch.remote.store import Store
from promptsearch.remote.verified_download import all_verified, download_verified, is_plain_name
from promptsearch.storage.manifest import ModelReference
from promptsearch.system.files import replace_bytes, sync_folder

log = logging.getLogger(__name__)


class ModelMirror:
    """The bundles at one URL. `folder` is a models folder; each bundle in it has a name of its own for each content, so
    that none is changed while it is read."""

    def __init__(self, url: str, cache: Path) -> None:
        self.store = Store(url)
        self.folder = cache_folder(cache, self.store.url)

    def fetch(self, wanted: ModelReference) -> bool:
        """Bring the bundle whose vectors a collection holds; False where the store has none.

        Raises BundleError where it is damaged, and StoreError.
        """
        wrong = None
        for name, text in self._descriptions():
            try:
                bundle = Bundle.parse(Path(name), text.decode(errors="replace"))
            except BundleError as error:
                wrong = BundleError(f"{self.store.url}/{error}")
                continue
            if bundle.identity == wanted.identity:
                self._fetch(bundle, name, text)
                return True
        if wrong is not None:
            raise wrong
        return False

    def _descriptions(self) -> list[tuple[str, bytes]]:
        """Each bundle's name and its `model.json`."""
        found = []
        try:
            names = [
                name for name, entry in self.store.entries().items() if entry.stamp is None and is_plain_name(name)
            ]
        except FileNotFoundError:  # no model was uploaded yet
            names = []
        for name in sorted(names):
            try:
                found.append((name, self.store.read(f"{name}/{FILES.model}")))
            except FileNotFoundError:
                continue
        return found

    def _fetch(self, bundle: Bundle, name: str, text: bytes) -> None:
        place = f"{name}-{hashlib.sha256(text).hexdigest()[:12]}"
        final, staging = self.folder / place, self.folder / f".{place}.staging"
        with exclusive_lock(self.folder, place):
            if final.is_dir():
                if all_verified(final, bundle.files):
                    return
                shutil.rmtree(staging, ignore_errors=True)
                final.rename(staging)
            staging.mkdir(exist_ok=True)
            fetched = download_verified(self.store, name, bundle.files, staging, BundleError)
            replace_bytes(staging / FILES.model, text)
            for other in self.folder.iterdir():  # of what the bundle was before it was exported again
                if is_plain_name(other.name) and Bundle.open(other).identity == bundle.identity:
                    shutil.rmtree(other)
            staging.rename(final)
            sync_folder(self.folder)
        log.info("model %s: fetched %d bytes from %s", bundle.name, fetched, self.store.url)
