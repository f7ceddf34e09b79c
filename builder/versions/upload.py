"""Upload a published collection or a model bundle to an object store, in its layout on disk.

Objects that name others are written after them (files, manifest, `current`), so a reader never sees half a version; an
interrupted upload resumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promptsearch.encoding.bundle import FILES as BUNDLE_FILES
from promptsearch.encoding.bundle import Bundle
from promptsearch.remote.store import Store
from promptsearch.storage.manifest import FILES, Manifest, current_version
from promptsearch.system.files import sha256_of


@dataclass(frozen=True)
class Uploaded:
    """The files that were sent, and how many were there already."""

    sent: int
    bytes: int
    there: int


def upload_collection(collection: Path, store: Store) -> tuple[Manifest, Uploaded]:
    """Upload the current version and the hidden ids. Raises CollectionError if it is damaged, and StoreError."""
    folder, name = current_version(collection), collection.name
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    key = f"{name}/{FILES.versions}/{folder.name}"
    uploaded = _upload(store, folder, key, manifest.files)
    store.write(f"{key}/{FILES.manifest}", (folder / FILES.manifest).read_bytes())
    if (collection / FILES.hidden).is_file():  # without one here, what the store has stays taken down
        store.write(f"{name}/{FILES.hidden}", (collection / FILES.hidden).read_bytes())
    store.write(f"{name}/{FILES.current}", f"{folder.name}\n".encode())
    return manifest, uploaded


def upload_model(folder: Path, store: Store) -> tuple[Bundle, Uploaded]:
    """Upload a bundle with its licences. Raises BundleError if it is damaged, and StoreError."""
    bundle, name = Bundle.open(folder), folder.absolute().name
    bundle.verify()
    licences = {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted((folder / BUNDLE_FILES.licences).rglob("*"))
        if path.is_file()
    }
    uploaded = _upload(store, folder, name, {**bundle.files, **licences})
    store.write(f"{name}/{BUNDLE_FILES.model}", (folder / BUNDLE_FILES.model).read_bytes())
    return bundle, uploaded


def _upload(store: Store, folder: Path, key: str, files: Mapping[str, str]) -> Uploaded:
    """Upload the files (name -> SHA-256) that the store does not have."""
    missing = [
        name for name, sha256 in files.items() if not store.has(f"{key}/{name}", (folder / name).stat().st_size, sha256)
    ]
    for name in missing:
        store.upload(folder / name, f"{key}/{name}", files[name])
    return Uploaded(len(missing), sum((folder / name).stat().st_size for name in missing), len(files) - len(missing))
