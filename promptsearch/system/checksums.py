"""SHA-256 of files that rarely change: computed once, then remembered by size, times and inode."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from promptsearch.system.files import replace_text, sha256_of

NAME = "checksums.json"


class Checksums:
    """Checksums by path, kept in a file, so that a restart reads nothing again; safe to use from several threads.

    Whatever cannot be read from or written to that file is computed again next time. Several processes may share it.
    """

    def __init__(self, folder: Path | None) -> None:
        """Keep them in `folder`, which is created; None keeps them in memory."""
        self._file = None if folder is None else folder.expanduser() / NAME
        self._lock = threading.Lock()
        self._known: dict[str, tuple[list[int], str]] = self._read()

    def of(self, path: Path) -> str:
        """Return a file's SHA-256 as 64 hex digits; raises OSError. Call `save` after the last one."""
        key, state = str(path.absolute()), _state(path)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == state:
            return known[1]
        digest = sha256_of(path)
        if _state(path) == state:  # else it was written to meanwhile
            with self._lock:
                self._known[key] = (state, digest)
        return digest

    def is_known(self, path: Path) -> bool:
        """Return whether `of` would return at once; raises OSError."""
        with self._lock:
            known = self._known.get(str(path.absolute()))
        return known is not None and known[0] == _state(path)

    def save(self) -> None:
        """Write what is known of files that still exist, together with what other processes have written."""
        if self._file is None:
            return
        with self._lock:
            self._known = {path: known for path, known in (self._read() | self._known).items() if Path(path).exists()}
            text = json.dumps(self._known)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if not self._file.exists() or self._file.read_text(encoding="utf-8") != text:
                replace_text(self._file, text)
        except (OSError, UnicodeDecodeError):  # a read-only or damaged cache costs time, nothing else
            return

    def _read(self) -> dict[str, tuple[list[int], str]]:
        if self._file is None:
            return {}
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(path): ([int(each) for each in state], str(digest)) for path, (state, digest) in stored.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
