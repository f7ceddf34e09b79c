"""`folder`, reading only what is new or has changed since the last build."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from functools import lru_cache
from pathlib import Path

from . import Item, Rejected
from .file_memory import FileMemory
from .folder import FolderSource
from .inputs.sidecars import SUFFIXES
from .inputs.storable import storable
from .inputs.tree import pictures_below

_LISTED = 16  # folders whose entries are kept: those above the one that is walked
_ENDINGS = tuple(spelling for suffix in SUFFIXES for spelling in (suffix, suffix.upper()))


class RememberedFolder:
    """A folder whose unchanged pictures come from a memory. It yields the items of `FolderSource`, made storable."""

    kind = "folder"

    def __init__(self, folder: FolderSource, memory: FileMemory, unsettled: Set[str] = frozenset()) -> None:
        """Read `folder`. Pictures in `unsettled`, paths below the root, are being written: their last state counts."""
        self.root = folder.root
        self._folder, self._memory, self._unsettled = folder, memory, unsettled

    def count(self) -> int:
        """Return about how many pictures there are: those that are remembered, or else all that are found."""
        return self._memory.count() or self._folder.count()

    def items(self) -> Iterator[Item | Rejected]:
        """Yield the pictures by path, each after the rejections of its unreadable sidecars."""
        listed = lru_cache(_LISTED)(_names)
        for file in pictures_below(self.root):
            if isinstance(file, Rejected):
                yield storable(file)
            elif file in self._unsettled:
                yield from self._memory.recall(file, None) or ()
            else:
                yield from self._items(file, listed((self.root / file).parent))

    def learn(self, item: Item, digest: bytes) -> None:
        """Remember an item with the digest of its picture."""
        self._memory.learn(item.key, digest)

    def _items(self, file: str, beside: Set[str]) -> Iterator[Item | Rejected]:
        path = self.root / file
        try:
            status = path.stat()
        except OSError:  # gone, which its reader reports
            yield from map(storable, self._folder.read(file))
            return
        signature = " ".join([_signature(status), *_sidecars(path, beside)])
        items = self._memory.recall(file, signature)
        if items is None:
            items = [storable(item) for item in self._folder.read(file)]
            self._memory.reading(file, signature, max(status.st_mtime, status.st_ctime), items)
        yield from items


def _names(folder: Path) -> Set[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()


def _sidecars(picture: Path, beside: Set[str]) -> Iterator[str]:
    """Yield a signature of each file beside a picture that may be its sidecar."""
    for stem in (picture.stem, picture.name):
        for ending in _ENDINGS:
            if (name := stem + ending) in beside and name != picture.name:
                try:
                    yield f"{name}={_signature(picture.with_name(name).stat())}"
                except OSError:
                    continue


def _signature(status: os.stat_result) -> str:
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
