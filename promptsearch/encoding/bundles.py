"""Finds model bundles in folders, and the bundle of a collection among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from promptsearch.encoding.bundle import FILES, Bundle
from promptsearch.errors import ArtefactError
from promptsearch.storage.manifest import ModelReference


def bundles_in(folders: Iterable[Path], damaged: Callable[[Path, ArtefactError], object]) -> list[Bundle]:
    """Return every readable bundle in the folders; call `damaged` for each that cannot be read."""
    bundles = []
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / FILES.model).is_file():
                try:
                    bundles.append(Bundle.open(path))
                except ArtefactError as error:
                    damaged(path, error)
    return bundles


def bundle_for(model: ModelReference, bundles: Iterable[Bundle]) -> Bundle | None:
    """Return the bundle with the model's identity, or else one with its name, for the error message."""
    namesake = None
    for bundle in bundles:
        if bundle.identity == model.identity:
            return bundle
        if bundle.name == model.name:
            namesake = bundle
    return namesake
