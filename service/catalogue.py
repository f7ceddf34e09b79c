"""What is served: every published collection together with the model whose vectors it holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from promptsearch.bundle import FILES as BUNDLE_FILES
from promptsearch.bundle import Bundle
from promptsearch.collection import Collection
from promptsearch.encoders import Encoders
from promptsearch.errors import ArtefactError, ParameterError, StartError, UnknownCollection
from promptsearch.manifest import FILES
from service.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """One collection, the encoders of its model and, where originals may be served, their folder."""

    collection: Collection
    encoders: Encoders
    files: Path | None


class Catalogue:
    """The collections that could be opened, and why the others could not."""

    def __init__(self, served: Mapping[str, Served], refused: Mapping[str, str], default: str | None) -> None:
        self.served = served
        self.refused = refused
        self.default = default

    @classmethod
    def open(cls, settings: Settings) -> Catalogue:
        """Open everything that the settings name; raises StartError where nothing, or not the default, can be served."""
        bundles = _bundles(settings.models)
        loaded: dict[str, Encoders] = {}
        served: dict[str, Served] = {}
        refused: dict[str, str] = {}
        for folder in _collection_folders(settings.indices):
            if folder.name in served:
                log.warning("%s is left out: a collection of that name is served already", folder)
                continue
            try:
                collection = Collection.open(folder)
                bundle = collection.require_model(_bundle_for(collection, bundles))
                if bundle.identity not in loaded:
                    loaded[bundle.identity] = Encoders(bundle, precision=settings.precision)
            except ArtefactError as error:
                refused[folder.name] = str(error)
                log.error("collection %s is not served: %s", folder.name, error)
                continue
            root = settings.files.get(collection.manifest.source["root"])
            served[folder.name] = Served(collection, loaded[bundle.identity], root.resolve() if root else None)
        default = _default(settings, served, refused)
        catalogue = cls(served, refused, default)
        catalogue.check()
        return catalogue

    def __getitem__(self, name: str | None) -> Served:
        """The collection of that name, or the default one; raises UnknownCollection, or ParameterError without either."""
        if name is None and self.default is None:
            raise ParameterError(
                f"several collections are served: name one with `collection` ({', '.join(self.served)})"
            )
        name = name if name is not None else self.default
        if name in self.refused:
            raise UnknownCollection(f"collection {name} is not served: {self.refused[name]}")
        if name not in self.served:
            raise UnknownCollection(f"there is no collection {name!r}; served: {', '.join(self.served)}")
        return self.served[name]

    def check(self) -> None:
        """Encode and search once in each collection; raises what a first request would have met."""
        for served in self.served.values():
            vector = served.encoders.encode_texts(["a picture"])[0]
            for kind in served.collection.kinds:
                served.collection.search(kind, vector, limit=1)

    def close(self) -> None:
        for served in self.served.values():
            served.collection.close()


def _bundles(folders: Iterable[Path]) -> list[Bundle]:
    """Every readable bundle below the folders; damaged ones are logged, and missed only where a collection needs them."""
    found = []
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / BUNDLE_FILES.model).is_file():
                try:
                    found.append(Bundle.open(path))
                except ArtefactError as error:
                    log.error("model %s is not loaded: %s", path.name, error)
    return found


def _bundle_for(collection: Collection, bundles: Iterable[Bundle]) -> Bundle | None:
    """The bundle with the collection's identity, or else one of the same name, which explains what is wrong."""
    wanted = collection.manifest.model
    namesake = None
    for bundle in bundles:
        if bundle.identity == wanted.identity:
            return bundle
        if bundle.name == wanted.name:
            namesake = bundle
    return namesake


def _collection_folders(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / FILES.current).is_file():
                yield path


def _default(settings: Settings, served: Mapping[str, Served], refused: Mapping[str, str]) -> str | None:
    name = settings.collection
    if not served:
        places = ", ".join(str(folder) for folder in settings.indices)
        reasons = "".join(f"; {reason}" for reason in refused.values())
        raise StartError(
            f"there is no collection to serve in {places}: build one with `python -m builder build`{reasons}"
        )
    if name in refused:
        raise StartError(f"the default collection cannot be served: {refused[name]}")
    if name is not None and name not in served:
        raise StartError(f"the default collection {name!r} is not there; there are: {', '.join(served)}")
    return name if name is not None else next(iter(served)) if len(served) == 1 else None
