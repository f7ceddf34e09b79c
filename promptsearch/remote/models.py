"""Local copies of the model bundles of an object store: those that collections need."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from promptsearch.encoding.bundle import FILES, Bundle
from promptsearch.errors import BundleError
from promptsearch.remote.cache import cache_folder, lock_entry
from promptsearch.remote.store import Store
from promptsearch.remote.verified_download import all_verified, download_verified, is_plain_name
from promptsearch.storage.manifest import ModelReference
from promptsearch.system.files import replace_bytes, sync_folder

log = logging.getLogger(__name__)


class ModelMirror:
    """The bundles at one URL, copied to the models folder `folder`.

    A copy's name depends on its content, so that no bundle is changed while it is read.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.store = Store(url)
        self.folder = cache_folder(cache, self.store.url)

    def fetch(self, wanted: ModelReference) -> bool:
        """Copy the bundle of a collection's model, and return whether the store has it.

        Raises BundleError if it is damaged, and StoreError.
        """
        damaged = None
        for name, text in self._descriptions():
            try:
                bundle = Bundle.parse(Path(name), text.decode(errors="replace"))
            except BundleError as error:
                damaged = BundleError(f"{self.store.url}/{error}")
                continue
            if bundle.identity == wanted.identity:
                self._fetch(bundle, name, text)
                return True
        if damaged is not None:
            raise damaged
        return False

    def _descriptions(self) -> list[tuple[str, bytes]]:
        """Return the name and the `model.json` of each bundle."""
        descriptions = []
        try:
            names = [
                name
                for name, entry in self.store.entries().items()
                if entry.fingerprint is None and is_plain_name(name)
            ]
        except FileNotFoundError:  # no model has been uploaded yet
            names = []
        for name in sorted(names):
            try:
                descriptions.append((name, self.store.read(f"{name}/{FILES.model}")))
            except FileNotFoundError:
                continue
        return descriptions

    def _fetch(self, bundle: Bundle, name: str, text: bytes) -> None:
        place = f"{name}-{hashlib.sha256(text).hexdigest()[:12]}"
        final, staging = self.folder / place, self.folder / f".{place}.staging"
        with lock_entry(self.folder, place):
            if final.is_dir():
                if all_verified(final, bundle.files):
                    return
                shutil.rmtree(staging, ignore_errors=True)
                final.rename(staging)
            staging.mkdir(exist_ok=True)
            fetched = download_verified(self.store, name, bundle.files, staging, BundleError)
            replace_bytes(staging / FILES.model, text)
            for other in self.folder.iterdir():  # copies of earlier exports of the same model
                if is_plain_name(other.name) and Bundle.open(other).identity == bundle.identity:
                    shutil.rmtree(other)
            staging.rename(final)
            sync_folder(self.folder)
        log.info("model %s: fetched %d bytes from %s", bundle.name, fetched, self.store.url)
