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
    """One collection, the encoders of its model and, where originals may be served, their folder.

    `name` is that of the collection's folder: it holds where someone copied or renamed what was built under another.
    """

    name: str
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
        """Open what the settings name; raises StartError where nothing, or not the default, can be served."""
        bundles = _bundles(settings.models)
        loaded: dict[str, Encoders] = {}
        served: dict[str, Served] = {}
        refused: dict[str, str] = {}
        for folder in _collection_folders(settings.indices):
            if folder.name in served:
                log.warning("%s is left out: a collection of that name is served already", folder)
                continue
            try:
                served[folder.name] = _open(folder, bundles, loaded, settings)
            except (ArtefactError, UnknownCollection) as error:
                refused[folder.name] = _one_line(error)
                log.error("collection %s is not served: %s", folder.name, refused[folder.name])  # noqa: TRY400  expected, and said in full
        default = _default(settings, served, refused)
        catalogue = cls(served, refused, default)
        catalogue.check()
        return catalogue

    def __getitem__(self, name: str | None) -> Served:
        """The collection of that name, or the default; raises UnknownCollection, or ParameterError without either."""
        name = name if name is not None else self.default
        if name is None:
            raise ParameterError(
                f"several collections are served: name one with `collection` ({', '.join(self.served)})"
            )
        if name in self.served:
            return self.served[name]
        if name in self.refused:
            raise UnknownCollection(f"collection {name} is not served: {self.refused[name]}")
        raise UnknownCollection(f"there is no collection {name!r}; served: {', '.join(self.served)}")

    def check(self) -> None:
        """Encode and search once in each collection; raises what a first request would have met."""
        for served in self.served.values():
            vector = served.encoders.encode_texts(["a picture"])[0]
            for kind in served.collection.kinds:
                served.collection.search(kind, vector, limit=1)

    def close(self) -> None:
        for served in self.served.values():
            served.collection.close()


def _open(folder: Path, bundles: Iterable[Bundle], loaded: dict[str, Encoders], settings: Settings) -> Served:
    """Raises ArtefactError or UnknownCollection; a model's encoders are loaded once, for all of its collections."""
    collection = Collection.open(folder)
    try:
        bundle = collection.require_model(_bundle_for(collection, bundles))
        if bundle.identity not in loaded:
            loaded[bundle.identity] = Encoders(bundle, precision=settings.precision)
    except ArtefactError:
        collection.close()
        raise
    root = settings.files.get(collection.manifest.source["root"])
    return Served(folder.name, collection, loaded[bundle.identity], root.resolve() if root else None)


def _bundles(folders: Iterable[Path]) -> list[Bundle]:
    """Every readable bundle below the folders; a damaged one is logged, and missed only by collections that need it."""
    found = []
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / BUNDLE_FILES.model).is_file():
                try:
                    found.append(Bundle.open(path))
                except ArtefactError as error:
                    log.error("model %s is not loaded: %s", path.name, _one_line(error))  # noqa: TRY400  expected
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
    """Those that hold a finished version, served or not; one whose first version is still being built has none."""
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / FILES.current).exists() or (path / FILES.versions).is_dir():
                yield path


def _default(settings: Settings, served: Mapping[str, Served], refused: Mapping[str, str]) -> str | None:
    name = settings.collection
    if not served:
        places = ", ".join(str(folder) for folder in settings.indices)
        reasons = "".join(f"; {reason}" for reason in refused.values())
        raise StartError(
            f"there is no collection to serve in {places}: build one with `python -m builder build`{reasons}"
        )
    if name is None:
        return next(iter(served)) if len(served) == 1 else None
    if name in served:
        return name
    if name in refused:
        raise StartError(f"the default collection cannot be served: {refused[name]}")
    raise StartError(f"the default collection {name!r} is not there; there are: {', '.join(served)}")


def _one_line(error: Exception) -> str:
    """What other libraries said may be part of it, in as many lines as they like."""
    return " ".join(str(error).split())
