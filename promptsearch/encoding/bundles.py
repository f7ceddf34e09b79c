"""The model bundles that lie in some folders, and which of them a collection needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from promptsearch.encoding.bundle import FILES, Bundle
from promptsearch.errors import ArtefactError
from promptsearch.storage.manifest import ModelReference


def bundles_in(folders: Iterable[Path], damaged: Callable[[Path, ArtefactError], object]) -> list[Bundle]:
    """Every readable bundle below the folders; `damaged` is told of each that is none."""
    found = []
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / FILES.model).is_file():
                try:
                    found.append(Bundle.open(path))
                except ArtefactError as error:
                    damaged(path, error)
    return found


def bundle_for(wanted: ModelReference, bundles: Iterable[Bundle]) -> Bundle | None:
    """The bundle of that identity, or else one of the same name, which explains what is wrong."""
    namesake = None
    for bundle in bundles:
        if bundle.identity == wanted.identity:
            return bundle
        if bundle.name == wanted.name:
            namesake = bundle
    return namesake
