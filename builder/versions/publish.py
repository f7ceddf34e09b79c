"""Publish a staged version: make every file durable, then rename one file atomically."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from promptsearch.errors import BuildError
from promptsearch.storage.manifest import FILES, KINDS, Manifest
from promptsearch.system.files import replace_text, sync_folder

from ..progress import say
from .follow import follow_pictures
from .staging import staged_manifest, staging_folder
from .versions import prune

KEEP = 1  # old versions


def publish(collection: Path, *, keep: int = KEEP) -> Manifest:
    """Make what is staged the collection's current version; a crash at any moment leaves the old one served.

    Then the newest `keep` old versions stay (a service may be about to open one) and older ones are deleted.
    """
    folder, manifest = staging_folder(collection), staged_manifest(collection)
    for kind in KINDS:
        if (folder / FILES.vectors(kind)).is_file() and manifest.index(kind) is None:
            raise BuildError(f"the staged {kind} have no index yet: run `python -m builder index` first")
    return publish_folder(collection, folder, manifest, keep=keep)


def publish_folder(collection: Path, folder: Path, manifest: Manifest, *, keep: int) -> Manifest:
    """Make the files in `folder`, which is moved, the version that `manifest` names, and that the current one.

    Takedowns that name an image alone follow its picture from then on.
    """
    say("publishing: checksums of all files")
    manifest = manifest.with_checksums(folder)
    sizes = {name: (folder / name).stat().st_size for name in manifest.files}
    manifest = replace(manifest, build={**manifest.build, "bytes": sizes})
    manifest.write(folder)
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    versions = collection / FILES.versions
    versions.mkdir(exist_ok=True)
    folder.rename(versions / manifest.version)
    sync_folder(versions)
    follow_pictures(collection, versions / manifest.version)
    replace_text(collection / FILES.current, manifest.version + "\n")
    prune(collection, keep)
    return manifest
