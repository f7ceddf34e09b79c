"""Which versions are whole: their files are compared with the manifest's checksums before they are served.

A damaged file need not fail: SQLite, FAISS and NumPy read what is there, and the answer is another one. Checksums are
remembered (`promptsearch/system/checksums.py`), so only new versions are read. Reading very large ones would delay the
start by minutes: they are served meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from promptsearch.errors import CollectionError, DamagedCollection, one_line
from promptsearch.storage.manifest import Manifest
from promptsearch.system.checksums import Checksums

log = logging.getLogger(__name__)

AT_ONCE = 2**29  # bytes that are read before anything is served: a second or two


class Verification:
    """Verifies versions, and remembers which are damaged; safe to use from several threads."""

    def __init__(self, cache: Path, at_once: int = AT_ONCE) -> None:
        """Remember checksums in `cache`; read up to `at_once` bytes between two calls of `begin` before serving."""
        self.checksums = Checksums(cache)
        self._at_once = self._left = at_once
        self._damaged: dict[Path, str] = {}
        self._verifying: dict[Path, Manifest] = {}
        self._reading = threading.Lock()  # one after the other: they share the disk

    @property
    def verifying(self) -> Mapping[Path, Manifest]:
        """Return the versions that are being verified in the background."""
        return self._verifying.copy()

    def begin(self) -> None:
        """Allow `at_once` bytes to be read again before versions are served."""
        self._left = self._at_once

    def forget_damage(self) -> None:
        """Verify damaged versions again when they are opened: they may have been repaired."""
        self._damaged.clear()

    def report(self, version: Path, reason: str) -> None:
        """Remember that a version was found to be damaged while it was served."""
        self._damaged.setdefault(version, reason)

    def is_damaged(self, version: Path) -> bool:
        """Return whether a version is known to be damaged."""
        return version in self._damaged

    def require_whole(self, version: Path, manifest: Manifest) -> None:
        """Raise CollectionError if a version is damaged; verify a large one in the background."""
        if version in self._damaged:
            raise DamagedCollection(self._damaged[version])
        unread = self._unread(version, manifest)
        if unread <= self._left:
            self._left -= unread
            manifest.verify(version, self.checksums)
        elif version not in self._verifying:
            self._verifying[version] = manifest
            threading.Thread(target=self._verify, args=(version, manifest), daemon=True).start()

    def _unread(self, version: Path, manifest: Manifest) -> int:
        """Return the bytes whose checksum is not remembered."""
        paths = (version / name for name in manifest.files)
        try:
            return sum(path.stat().st_size for path in paths if path.is_file() and not self.checksums.is_known(path))
        except OSError as error:
            raise CollectionError(f"{version} cannot be read: {error}") from error

    def _verify(self, version: Path, manifest: Manifest) -> None:
        try:
            with self._reading:
                manifest.verify(version, self.checksums)
        except CollectionError as error:
            self.report(version, one_line(error))
        except Exception as error:  # must not look verified
            log.exception("version %s cannot be verified", version.name)
            self.report(version, f"{version} cannot be verified: {one_line(error)}")
        finally:
            del self._verifying[version]
