"""What is served: every published collection together with the model whose vectors it holds.

`refresh` compares what is served with what lies on disk. A new version is opened, checked against the model and asked
once before it takes the place of the old one; where anything is wrong with it, the old one stays. A handler takes its
`Served` once and keeps it, so what is in flight ends on the version on which it began.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from promptsearch.encoding.bundle import FILES as BUNDLE_FILES
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.bundles import bundle_for, bundles_in
from promptsearch.encoding.encoders import Encoders
from promptsearch.errors import ArtefactError, ParameterError, StartError, UnknownCollection
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.manifest import FILES, current_version

from ..inference.batching import Vector
from ..inference.workers import threads
from ..settings import Settings
from .mirrors import KEPT, Mirrors

log = logging.getLogger(__name__)

CHECK_TEXT = "a picture"

_revisions = itertools.count()


@dataclass(frozen=True)
class Served:
    """One version of a collection, the encoders of its model and, where originals may be served, their folder.

    `name` is that of the collection's folder: it holds where someone copied or renamed what was built under another.
    """

    name: str
    collection: Collection
    encoders: Encoders
    files: Path | None
    hidden: Set[Takedown]  # those of other versions' items included
    revision: int = field(default_factory=lambda: next(_revisions))  # another for whatever could change an answer

    def hiding(self, hidden: Set[Takedown]) -> Served:
        return replace(self, collection=self.collection.hiding(hidden), hidden=hidden, revision=next(_revisions))

    def check(self, vector: Vector) -> None:
        """Search once for each kind of item; raises what a first request would have met."""
        self.collection.probe(vector)


class Catalogue:
    """The collections that could be opened, and why the others could not.

    One thread at a time may `refresh`; its results appear to all others at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.mirrors = Mirrors(settings)
        self._elsewhere: Mapping[Path, str] = {}  # what is wrong with what lies in object stores
        self._open: dict[Path, Served] = {}
        self._wrong: dict[Path, str] = {}
        self._seen: dict[Path, tuple[object, object]] = {}
        self._before: dict[str, tuple[Served, float]] = {}  # and until when it is kept
        self.served: Mapping[str, Served] = {}
        self.refused: Mapping[str, str] = {}
        self.outdated: Mapping[str, str] = {}
        self.default: str | None = None

    @classmethod
    def open(cls, settings: Settings) -> Catalogue:
        """Open what the settings name; raises StartError where nothing, or not the default, can be served."""
        catalogue = cls(settings)
        try:
            catalogue.mirrors.start()
            catalogue.refresh()
            catalogue.default = _default(settings, catalogue.served, catalogue.refused)
        except StartError:
            catalogue.close()
            raise
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

    def version(self, name: str, version: str) -> Served | None:
        """That version of a collection, if it is the current one or the one before; else None."""
        before, _ = self._before.get(name, (None, 0.0))
        for one in (self.served.get(name), before):
            if one is not None and one.collection.version == version:
                return one
        return None

    def awaits(self, name: str, version: str) -> bool:
        """Whether a version that is not open may be before long: as it is current on disk, or on its way here, which
        one must be that is newer than all that are here."""
        if any(one.collection.version == version for one in self.served.values()):
            return False  # it is another collection's
        folder = self._folder(name)
        if self.mirrors.behind(folder):
            return True
        try:
            current = current_version(folder).name
        except (ArtefactError, UnknownCollection):
            return False
        known = [path.name for path in (folder / FILES.versions).iterdir()]
        return version == current or version > max(known)  # their names are times

    def encoders(self) -> set[Encoders]:
        """Those of all versions that are open."""
        return {served.encoders for served in (*self._open.values(), *(before for before, _ in self._before.values()))}

    def refresh(self, *, everything: bool = False) -> list[str]:
        """Serve what has changed on disk since the last time, or `everything` that could not be served either.

        Returns the names of collections whose newest version was refused now.
        """
        now = time.monotonic()
        self._before = {name: (one, until) for name, (one, until) in self._before.items() if until > now}
        if everything:
            self.mirrors.retry()
        folders = list(_collection_folders(self.mirrors.indices))
        models = _signature(
            path for folder in self.mirrors.models for path in sorted(folder.glob(f"*/{BUNDLE_FILES.model}"))
        )
        changed = [folder for folder in folders if everything or self._changed(folder, models)]
        bundles = _bundles(self.mirrors.models) if changed else []
        refused = [folder.name for folder in changed if not self._refresh(folder, bundles)]
        refused += self._look_elsewhere()
        for folder in self._open.keys() - set(folders):
            self._keep(folder, f"{folder} is no longer there")
        self._publish()
        return refused

    def reopen(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Open those of these versions (name, version) that are the one before the current, and were replaced within
        the time that it is kept: by a process that began later. One thread at a time, as for `refresh`."""
        for name, version in wanted:
            folder = self._folder(name)
            served, versions = self._open[folder], folder / FILES.versions
            try:
                others = [path.name for path in versions.iterdir() if path != served.collection.folder]
                left = KEPT - (time.time() - (folder / FILES.current).stat().st_mtime)
            except FileNotFoundError:
                continue
            # Their names are times.
            if version == max(others, default=None) and left > 0 and name not in self._before:
                try:
                    before = self._open_version(
                        folder, versions / version, served.hidden, _bundles(self.mirrors.models)
                    )
                except Exception as error:  # its cursors are gone, and that is all
                    log.warning("version %s of collection %s cannot be opened again: %s", version, name, error)
                else:
                    self._before[name] = (before, time.monotonic() + left)

    def close(self) -> None:
        self.mirrors.close()
        for served in (*self._open.values(), *(before for before, _ in self._before.values())):
            served.collection.close()

    def _folder(self, name: str) -> Path:
        return next(folder for folder in self._open.copy() if folder.name == name)

    def _changed(self, folder: Path, models: object) -> bool:
        """Whether it may be served otherwise than it is. Where something is wrong, another model may mend it."""
        files = _signature((folder / FILES.current, folder / FILES.hidden))
        before = self._seen.get(folder, (None, None))
        self._seen[folder] = (files, models)
        return before[0] != files or (folder in self._wrong and before[1] != models)

    def _refresh(self, folder: Path, bundles: Iterable[Bundle]) -> bool:
        """Serve what the folder now holds, or say why not; False where its newest version is refused."""
        name, now_open = folder.name, self._open.get(folder)
        if any(other.name == name for other in self._open.keys() - {folder}):
            log.warning("%s is left out: a collection of that name is served already", folder)
            return True
        try:
            hidden, version = read_hidden(folder), current_version(folder)
            if now_open is not None and now_open.collection.folder == version:
                if now_open.hidden != hidden:
                    self._open[folder] = now_open.hiding(hidden)
                    self._hide_before(name, hidden)
            else:
                self._open[folder] = self._open_version(folder, version, hidden, bundles)
                if now_open is not None:
                    self._before[name] = (now_open.hiding(hidden), time.monotonic() + KEPT)
                    log.info("collection %s: version %s replaces %s", name, version.name, now_open.collection.version)
        except (ArtefactError, UnknownCollection) as error:
            self._keep(folder, _one_line(error))
            return False
        except Exception as error:  # whatever else is wrong with a version, it must not end the service
            log.exception("collection %s cannot be opened", name)
            self._keep(folder, _one_line(error))
            return False
        self._wrong.pop(folder, None)
        return True

    def _open_version(self, folder: Path, version: Path, hidden: Set[Takedown], bundles: Iterable[Bundle]) -> Served:
        """Opened, checked against its model and asked once; a model's encoders are loaded once, for all collections."""
        collection = Collection(version).hiding(hidden)
        bundle = collection.require_model(bundle_for(collection.manifest.model, bundles))
        loaded = {encoders.bundle.identity: encoders for encoders in self.encoders()}
        encoders = loaded.get(bundle.identity) or Encoders(
            bundle, precision=self._settings.precision, threads=threads(self._settings.workers)
        )
        root = self._settings.files.get(collection.manifest.source["root"])
        served = Served(folder.name, collection, encoders, root.resolve() if root else None, hidden)
        served.check(encoders.encode_texts([CHECK_TEXT])[0])
        return served

    def _hide_before(self, name: str, hidden: Set[Takedown]) -> None:
        if name in self._before:
            before, until = self._before[name]
            self._before[name] = (before.hiding(hidden), until)

    def _keep(self, folder: Path, why: str) -> None:
        """Go on with what is served of it, if anything, and say once what is wrong."""
        if self._wrong.get(folder) != why:
            self._wrong[folder] = why
            self._tell(folder, why)

    def _look_elsewhere(self) -> list[str]:
        """What object stores have and could not be brought; the names of those of which that is new."""
        before, self._elsewhere = self._elsewhere, self.mirrors.wrong
        new = [folder for folder, why in self._elsewhere.items() if before.get(folder) != why]
        for folder in new:
            self._tell(folder, self._elsewhere[folder])
        return [folder.name for folder in new]

    def _tell(self, folder: Path, why: str) -> None:
        stays = self._open.get(folder)
        if stays is None:
            log.error("collection %s is not served: %s", folder.name, why)
        else:
            log.error("collection %s stays at version %s: %s", folder.name, stays.collection.version, why)

    def _publish(self) -> None:
        wrong = {**self._wrong, **self._elsewhere}
        self.outdated = {folder.name: why for folder, why in wrong.items() if folder in self._open}
        self.refused = {folder.name: why for folder, why in wrong.items() if folder not in self._open}
        self.served = {served.name: served for _, served in sorted(self._open.items(), key=lambda one: one[1].name)}


def _signature(paths: Iterable[Path]) -> object:
    """Changes when one of these files is replaced or edited."""
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path, status.st_ino, status.st_mtime_ns, status.st_size))
    return found


def _bundles(folders: Iterable[Path]) -> list[Bundle]:
    """Every readable bundle below the folders; a damaged one is logged, and missed only by collections that need it."""
    return bundles_in(folders, lambda path, error: log.error("model %s is not loaded: %s", path.name, _one_line(error)))


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
