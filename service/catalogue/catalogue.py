"""Every published collection together with the model that its vectors come from.

`refresh` compares what is served with what is on disk. A new version is opened, checked against the model and searched
once before it replaces the old one; if anything is wrong with it, the old one stays. A handler takes its `Served` once
and keeps it, so a request ends on the version on which it began.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from promptsearch.encoding.bundle import FILES as BUNDLE_FILES
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.bundles import bundle_for, bundles_in
from promptsearch.encoding.encoders import Encoders
from promptsearch.errors import (
    ArtefactError,
    CollectionError,
    DamagedCollection,
    ParameterError,
    StartError,
    UnknownCollection,
    excerpt,
    one_line,
)
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.manifest import FILES, Manifest, current_version

from ..inference.batching import Vector
from ..inference.search_threads import threads_per_process
from ..settings import Settings
from .mirrors import KEEP_PREVIOUS, Mirrors
from .verification import Verification

log = logging.getLogger(__name__)

CHECK_TEXT = "a picture"

_revisions = itertools.count()


@dataclass(frozen=True)
class Served:
    """One version of a collection, the encoders of its model and, if its originals are served, their folder.

    `name` is that of the collection's folder, which differs from the name in the manifest after a copy or a rename.
    """

    name: str
    collection: Collection
    encoders: Encoders
    files: Path | None
    hidden: Set[Takedown]  # including those of other versions' items
    revision: int = field(default_factory=lambda: next(_revisions))  # changes with everything that responses depend on

    def with_hidden(self, hidden: Set[Takedown]) -> Served:
        """Return the same version without the items that are taken down."""
        return replace(self, collection=self.collection.with_hidden(hidden), hidden=hidden, revision=next(_revisions))

    def check(self, vector: Vector) -> None:
        """Search once for each kind of item; raises what a first request would raise."""
        self.collection.probe(vector)


class Catalogue:
    """The collections that could be opened, and why the others could not.

    Only one thread at a time may call `refresh` or `reopen`; all others see the result at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.mirrors = Mirrors(settings)
        self._verification = Verification(settings.cache)
        self._lost: set[str] = set()  # collections that were served until they were found to be damaged
        self._faults: dict[str, str] = {}  # by a collection's name: what is wrong with what is served
        self._store_errors: Mapping[Path, str] = {}  # by a collection's folder
        self._open: dict[Path, Served] = {}
        self._version_errors: dict[Path, str] = {}  # why the newest version is not served, by folder
        self._signatures: dict[Path, tuple[object, object]] = {}
        self._previous: dict[str, tuple[Served, float]] = {}  # with the time until which each is kept
        self.served: Mapping[str, Served] = {}
        self.refused: Mapping[str, str] = {}  # not served at all: why, by name
        self.outdated: Mapping[str, str] = {}  # served in an older version: why, by name
        self.default: str | None = None

    @classmethod
    def open(cls, settings: Settings) -> Catalogue:
        """Open the collections of the settings; raises StartError if none, or not the default, can be served."""
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
        """Return the collection of that name, or the default; raises UnknownCollection, or ParameterError without a
        default."""
        name = name if name is not None else self.default
        if name is None:
            raise ParameterError(
                f"several collections are served: name one with `collection` ({', '.join(self.served)})"
            )
        if name in self.served:
            return self.served[name]
        if name in self.refused and name in self._lost:
            raise DamagedCollection(f"collection {name} is not served any more: {self.refused[name]}")
        if name in self.refused:
            raise UnknownCollection(f"collection {name} is not served: {self.refused[name]}")
        raise UnknownCollection(f"unknown collection {excerpt(name)!r}: expected one of {', '.join(self.served)}")

    def version(self, name: str, version: str) -> Served | None:
        """Return that version of a collection if it is the current or the previous one, else None."""
        previous, _ = self._previous.get(name, (None, 0.0))
        for served in (self.served.get(name), previous):
            if served is not None and served.collection.version == version:
                return served
        return None

    def may_appear(self, name: str, version: str) -> bool:
        """Return whether a version that is not open may be soon: it is current on disk, being downloaded, or newer than
        all versions here."""
        if any(served.collection.version == version for served in self.served.values()):
            return False  # it belongs to another collection
        folder = self._folder(name)
        if self.mirrors.behind(folder):
            return True
        try:
            current = current_version(folder).name
        except (ArtefactError, UnknownCollection):
            return False
        versions = [path.name for path in (folder / FILES.versions).iterdir()]
        return version == current or version >= max(versions)  # named by time; the newest may be about to be current

    @property
    def verifying(self) -> bool:
        """Return whether versions that are served are still being verified."""
        return bool(self._verification.verifying)

    @property
    def problems(self) -> Mapping[str, str]:
        """Return what is wrong, by the name of the collection."""
        return {**self.refused, **self.outdated, **self._faults.copy()}

    def report(self, served: Served, error: Exception | None) -> None:
        """Remember what went wrong in a version while it was served, or with None that nothing does; from any thread.

        A version whose files are damaged is replaced by the one before at the next `refresh`.
        """
        if error is None:
            self._faults.pop(served.name, None)
            return
        reason = one_line(error)
        if isinstance(error, DamagedCollection):
            self._verification.report(served.collection.folder, reason)
        if self._faults.get(served.name) != reason:
            self._faults[served.name] = reason
            log.error("collection %s: %s", served.name, reason)

    def encoders(self) -> set[Encoders]:
        """Return the encoders of all open versions."""
        return {served.encoders for served in self._all_open()}

    def refresh(self, *, everything: bool = False) -> list[str]:
        """Serve what has changed on disk since the last time; with `everything`, also retry what could not be served.

        Return the names of collections whose newest version was refused now.
        """
        now = time.monotonic()
        self._previous = {name: (served, until) for name, (served, until) in self._previous.items() if until > now}
        self._verification.begin()
        if everything:
            self.mirrors.retry()
            self._verification.forget_damage()
        folders = list(_collection_folders(self.mirrors.indices))
        models = _signature(
            path for folder in self.mirrors.models for path in sorted(folder.glob(f"*/{BUNDLE_FILES.model}"))
        )
        changed = [
            folder for folder in folders if self._changed(folder, models) or everything or self._is_damaged(folder)
        ]
        bundles = _bundles(self.mirrors.models) if changed else []
        failed = [folder.name for folder in changed if not self._refresh(folder, bundles)]
        failed += self._check_stores()
        for folder in self._open.keys() - set(folders):
            self._record_error(folder, f"{folder} no longer exists")
        self._publish()
        return failed

    def reopen(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Open those of these (collection, version) that are the previous version and would still be kept.

        This serves the cursors of a version that was replaced before this process started.
        """
        for name, version in wanted:
            folder = self._folder(name)
            served, versions = self._open[folder], folder / FILES.versions
            try:
                others = [path.name for path in versions.iterdir() if path != served.collection.folder]
                left = KEEP_PREVIOUS - (time.time() - (folder / FILES.current).stat().st_mtime)
            except FileNotFoundError:
                continue
            # Versions are named by time.
            if version == max(others, default=None) and left > 0 and name not in self._previous:
                try:
                    previous = self._open_version(
                        folder, versions / version, served.hidden, _bundles(self.mirrors.models)
                    )
                except Exception as error:  # only its cursors are lost
                    log.warning("cannot reopen version %s of collection %s: %s", version, name, error)
                else:
                    self._previous[name] = (previous, time.monotonic() + left)

    def close(self) -> None:
        """Close all versions, and stop looking at object stores."""
        self.mirrors.close()
        for served in self._all_open():
            served.collection.close()

    def _all_open(self) -> list[Served]:
        return [*self._open.values(), *(previous for previous, _ in self._previous.values())]

    def _folder(self, name: str) -> Path:
        return next(folder for folder in self._open.copy() if folder.name == name)

    def _changed(self, folder: Path, models: object) -> bool:
        """Return whether refreshing a collection may change anything; a new model may repair one that is refused."""
        files = _signature((folder / FILES.current, folder / FILES.hidden))
        previous_files, previous_models = self._signatures.get(folder, (None, None))
        self._signatures[folder] = (files, models)
        return previous_files != files or (folder in self._version_errors and previous_models != models)

    def _refresh(self, folder: Path, bundles: Iterable[Bundle]) -> bool:
        """Serve the current version of a folder; return False, with the reason logged, if it is refused."""
        name, now_open = folder.name, self._open.get(folder)
        if any(other.name == name for other in self._open.keys() - {folder}):
            log.warning("%s is ignored: another collection of that name is served", folder)
            return True
        try:
            hidden, version = read_hidden(folder), current_version(folder)
            self._hide(folder, hidden)
            if now_open is None or now_open.collection.folder != version or self._is_damaged(folder):
                self._switch(folder, version, hidden, bundles)
        except (ArtefactError, UnknownCollection) as error:
            self._record_error(folder, one_line(error))
            return False
        except Exception as error:  # no fault of a version may end the service
            log.exception("collection %s cannot be opened", name)
            self._record_error(folder, one_line(error))
            return False
        self._version_errors.pop(folder, None)
        return True

    def _is_damaged(self, folder: Path) -> bool:
        """Return whether the version that is served of a collection was found to be damaged."""
        served = self._open.get(folder)
        return served is not None and self._verification.is_damaged(served.collection.folder)

    def _hide(self, folder: Path, hidden: Set[Takedown]) -> None:
        """Apply takedowns to what is served, whatever becomes of a new version."""
        served = self._open.get(folder)
        if served is not None and served.hidden != hidden:
            self._open[folder] = served.with_hidden(hidden)
            self._hide_in_previous(served.name, hidden)

    def _switch(self, folder: Path, version: Path, hidden: Set[Takedown], bundles: Iterable[Bundle]) -> None:
        """Serve a version; if its files are damaged and nothing whole is served, the newest older one that is whole.

        Raises ArtefactError, also if an older version is served instead.
        """
        name, now_open = folder.name, self._open.get(folder)
        damaged = self._is_damaged(folder)
        try:
            opened = self._open_version(folder, version, hidden, bundles)
        except CollectionError:
            if now_open is None or damaged:
                self._fall_back(folder, version, hidden, bundles)
            raise
        self._open[folder] = opened
        self._lost.discard(name)
        if now_open is not None:
            log.info("collection %s: version %s replaces %s", name, version.name, now_open.collection.version)
            if not damaged:
                self._previous[name] = (now_open, time.monotonic() + KEEP_PREVIOUS)

    def _fall_back(self, folder: Path, version: Path, hidden: Set[Takedown], bundles: Iterable[Bundle]) -> None:
        """Serve the version before a damaged one if it is whole, else nothing."""
        older = [path for path in (folder / FILES.versions).iterdir() if path.name < version.name]
        try:
            if older:
                self._open[folder] = self._open_version(folder, max(older), hidden, bundles)
                self._faults.pop(folder.name, None)
                return
        except ArtefactError as error:
            log.warning("the version before the damaged one of %s cannot be served: %s", folder.name, error)
        if self._open.pop(folder, None) is not None:
            self._lost.add(folder.name)
            self._previous.pop(folder.name, None)

    def _open_version(self, folder: Path, version: Path, hidden: Set[Takedown], bundles: Iterable[Bundle]) -> Served:
        """Return a version, opened, checked against its model and searched once. Collections share their encoders."""
        self._verification.require_whole(version, Manifest.read(version))
        collection = Collection(version).with_hidden(hidden)
        bundle = collection.require_model(bundle_for(collection.manifest.model, bundles))
        encoders = self._encoders_of(bundle)
        root = self._settings.files.get(collection.manifest.source["root"])
        served = Served(folder.name, collection, encoders, root.resolve() if root else None, hidden)
        served.check(encoders.check(CHECK_TEXT))
        return served

    def _encoders_of(self, bundle: Bundle) -> Encoders:
        """Return the encoders of a model: those that are loaded, or else of files that are verified first."""
        for encoders in self.encoders():
            if encoders.bundle.identity == bundle.identity:
                return encoders
        bundle.verify(self._verification.checksums)
        threads = threads_per_process(self._settings.workers)
        return Encoders(bundle, precision=self._settings.precision, threads=threads)

    def _hide_in_previous(self, name: str, hidden: Set[Takedown]) -> None:
        if name in self._previous:
            previous, until = self._previous[name]
            self._previous[name] = (previous.with_hidden(hidden), until)

    def _record_error(self, folder: Path, reason: str) -> None:
        """Keep what is served of a collection, if anything, and log the reason once."""
        if self._version_errors.get(folder) != reason:
            self._version_errors[folder] = reason
            self._log(folder, reason)

    def _check_stores(self) -> list[str]:
        """Return the names of collections with a new error in their object store, and log each."""
        previous, self._store_errors = self._store_errors, self.mirrors.errors
        new = [folder for folder, reason in self._store_errors.items() if previous.get(folder) != reason]
        for folder in new:
            self._log(folder, self._store_errors[folder])
        return [folder.name for folder in new]

    def _log(self, folder: Path, reason: str) -> None:
        served = self._open.get(folder)
        if served is None:
            log.error("collection %s is not served: %s", folder.name, reason)
        else:
            log.error("collection %s stays at version %s: %s", folder.name, served.collection.version, reason)

    def _publish(self) -> None:
        errors = {**self._version_errors, **self._store_errors}
        self.outdated = {folder.name: reason for folder, reason in errors.items() if folder in self._open}
        self.refused = {folder.name: reason for folder, reason in errors.items() if folder not in self._open}
        self.served = {served.name: served for served in sorted(self._open.values(), key=attrgetter("name"))}


def _signature(paths: Iterable[Path]) -> object:
    """Return what changes when one of these files is replaced or edited."""
    signature = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        signature.append((path, status.st_ino, status.st_mtime_ns, status.st_size))
    return signature


def _bundles(folders: Iterable[Path]) -> list[Bundle]:
    """Return every readable bundle in the folders. A damaged one is logged, and concerns only its collections."""
    return bundles_in(folders, lambda path, error: log.error("model %s is not loaded: %s", path.name, one_line(error)))


def _collection_folders(folders: Iterable[Path]) -> Iterable[Path]:
    """Yield the folders with a finished version; a collection that is being built for the first time has none."""
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / FILES.current).exists() or (path / FILES.versions).is_dir():
                yield path


def _default(settings: Settings, served: Mapping[str, Served], refused: Mapping[str, str]) -> str | None:
    name = settings.collection
    if not served:
        places = ", ".join(str(folder) for folder in settings.indices)
        reasons = "".join(f"; {reason}" for reason in refused.values())
        raise StartError(f"no collection to serve in {places}: build one with `python -m builder build`{reasons}")
    if name is None:
        return next(iter(served)) if len(served) == 1 else None
    if name in served:
        return name
    if name in refused:
        raise StartError(f"the default collection cannot be served: {refused[name]}")
    raise StartError(f"--collection must name a served collection ({', '.join(served)}), got {name!r}")
