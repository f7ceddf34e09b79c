"""The versions of a collection: list, measure and delete them."""

from __future__ import annotations

import contextlib
import logging
import shutil
from datetime import datetime
from pathlib import Path

from promptsearch.errors import BuildError, CollectionError, NotReady, UnknownCollection
from promptsearch.storage.manifest import FILES, Manifest, current_version

log = logging.getLogger(__name__)


def cache_folder(indices: Path) -> Path:
    """Return the folder with what builds of all collections in `indices` have computed."""
    return indices / ".cache"


def file_memory(indices: Path) -> Path:
    """Return the file with what builds remember of pictures' files."""
    return cache_folder(indices) / "files.sqlite"


def is_whole(collection: Path) -> bool:
    """Return whether a version is published that has all of its source, not only what was encoded so far."""
    try:
        return not Manifest.read(current_version(collection)).build.get("partial", False)
    except (UnknownCollection, CollectionError):
        return False


def version_name(now: datetime) -> str:
    """Return the name of a version built at that time (UTC): names sort by time."""
    return now.strftime("%Y%m%dT%H%M%S.%fZ")


def collections(indices: Path) -> list[Path]:
    """Return the folders of published collections, by name. Raises BuildError without such a folder."""
    if not indices.is_dir():
        raise BuildError(f"there is no folder {indices}: name the folder of the collections with --indices")
    return sorted(path for path in indices.iterdir() if (path / FILES.current).is_file())


def versions(collection: Path) -> list[Path]:
    """Return the folders of a collection's versions, oldest first."""
    folder = collection / FILES.versions
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def size_of(version: Path) -> int:
    """Return the bytes of all files of a version."""
    return sum(path.stat().st_size for path in version.iterdir())


def delete_version(collection: Path, name: str) -> int:
    """Delete an old version; return the bytes that are freed once no service has it open.

    Raises BuildError for the current version and for names without a version.
    """
    current = current_version(collection)
    if name == current.name:
        raise BuildError(f"{name} is the version of {collection.name} that is served: publish another one first")
    there = versions(collection)
    for version in there:
        if version.name == name:
            freed = size_of(version)
            _delete(version)
            return freed
    old = ", ".join(version.name for version in there if version != current) or "none"
    raise BuildError(f"collection {collection.name} has no version {name!r}; old versions: {old}")


def prune(collection: Path, keep: int) -> None:
    """Delete all but the newest `keep` old versions, and what an interrupted deletion left."""
    current = current_version(collection)
    old = [version for version in versions(collection) if version != current]
    for version in old[: len(old) - keep] if keep < len(old) else []:
        try:
            _delete(version)
        except NotReady as error:  # publishing succeeded; the next publish retries the deletion
            log.warning("version %s of %s stays: %s", version.name, collection.name, error)
    for rest in (collection / FILES.versions).glob(".*"):
        shutil.rmtree(rest)


def _delete(version: Path) -> None:
    """Delete a version, and what Milvus holds of it. Raises NotReady if Milvus does not answer."""
    with contextlib.suppress(CollectionError):  # a damaged manifest names nothing that could be dropped
        if (names := Manifest.read(version).milvus) is not None:
            from promptsearch.engines.milvus.dropping import drop

            drop(names)
    gone = version.with_name(f".{version.name}")
    version.rename(gone)  # at once no version any more, however long the rest takes
    shutil.rmtree(gone)
