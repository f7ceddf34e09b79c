"""Recognise a build that has nothing new: what it staged is what is served."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptsearch.errors import CollectionError, UnknownCollection
from promptsearch.storage.manifest import FILES, KINDS, Manifest, current_version
from promptsearch.system.files import sha256_of

from .staging import staged_manifest, staging_folder

_BUILD = ("program", "prompt_text", "partial")  # what of a build decides its files, besides the source and the model


def discard_unchanged(collection: Path, index: Mapping[str, Any]) -> Manifest | None:
    """Delete what is staged if the served version was made of the same; return its manifest, None if there is news.

    `index` are the bounds that the indices would be built with. Files are compared by their content.
    """
    folder, staged = staging_folder(collection), staged_manifest(collection)
    try:
        served = Manifest.read(current_version(collection))
    except (UnknownCollection, CollectionError):
        return None
    if not (_made_alike(staged, served, index) and _same_files(folder, served)):
        return None
    shutil.rmtree(folder)
    return served


def _made_alike(staged: Manifest, served: Manifest, index: Mapping[str, Any]) -> bool:
    return (
        served.milvus is None
        and (staged.model, staged.source, staged.counts) == (served.model, served.source, served.counts)
        and all(staged.build[name] == served.build.get(name) for name in _BUILD)
        and served.build.get("index") == index
    )


def _same_files(folder: Path, served: Manifest) -> bool:
    """Return whether the staged files are those that the version was indexed from."""
    staged = {path.name: path for path in folder.iterdir() if path.name != FILES.manifest}
    if staged.keys() != {name for name in served.files if not _is_derived(name)}:
        return False
    sizes = served.build["bytes"]
    return all(path.stat().st_size == sizes[name] for name, path in staged.items()) and all(
        sha256_of(path) == served.files[name] for name, path in staged.items()
    )


def _is_derived(name: str) -> bool:
    """Return whether a file is written by the step `index`, from others."""
    return name in (FILES.fields, FILES.words, *map(FILES.index, KINDS)) or Path(name).match(FILES.field("*"))
