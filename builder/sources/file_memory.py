"""What was read of the pictures in folders, so that unchanged files are not read again: `indices/.cache/files.sqlite`.

A file is unchanged if its inode, size and times are, and those of its sidecars. What was read of it is forgotten if the
code that reads metadata changes. The file may be deleted at any time; the next build then reads everything again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType

import promptsearch.metadata

from . import Item, Rejected
from .inputs.picture import FilePicture, RememberedPicture

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    root TEXT NOT NULL,
    file TEXT NOT NULL,               -- below the root
    signature TEXT NOT NULL,          -- see `signatures.py`
    digest BLOB NOT NULL,             -- of the picture's content
    items TEXT NOT NULL,              -- JSON: the item, after the rejections of its sidecars
    PRIMARY KEY (root, file)
);
"""
_BATCH = 500  # files a transaction
RECENT = 2.0  # seconds: a file that changed so recently may change again within the resolution of its time
_WAIT = 60.0  # seconds for another build that writes to the same file

Read = Sequence[Item | Rejected]


class FileMemory:
    """The files below one root. The `with` block writes what is new and closes it."""

    def __init__(self, path: Path, root: Path, *, recent: float = RECENT) -> None:
        """Open the file. What is read of pictures that changed in the last `recent` seconds is not remembered."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._root, self._recent = root, recent
        self._database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
        self._database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}")
        self._reading: dict[str, tuple[str, str]] = {}  # file -> signature and items, until its digest is known
        self._new: list[tuple[str, str, str, bytes, str]] = []

    def count(self) -> int:
        """Return how many files are remembered."""
        sql = "SELECT count(*) FROM files WHERE root = ?"
        (count,) = self._database.execute(sql, (str(self._root),)).fetchone()
        return int(count)

    def recall(self, file: str, signature: str | None) -> Read | None:
        """Return what was read of a file if it has this signature, or whatever it has for None; else None."""
        sql = "SELECT signature, digest, items FROM files WHERE root = ? AND file = ?"
        row = self._database.execute(sql, (str(self._root), file)).fetchone()
        if row is None or (signature is not None and row[0] != _dated(signature)):
            return None
        return list(_unpack(row[2], RememberedPicture(self._root, file, row[1])))

    def reading(self, file: str, signature: str, changed: float, items: Read) -> None:
        """Hold what was just read of a file, last changed at that time, until `learn` tells its picture's digest."""
        if time.time() - changed > self._recent:
            self._reading[file] = _dated(signature), _pack(items)

    def learn(self, file: str, digest: bytes) -> None:
        """Remember a file with the digest of its content."""
        if (held := self._reading.pop(file, None)) is not None:
            self._new.append((str(self._root), file, held[0], digest, held[1]))
            if len(self._new) == _BATCH:
                self._write()

    def _write(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", self._new)
        self._database.execute("COMMIT")
        self._new = []

    def __enter__(self) -> FileMemory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._new:
            self._write()
        self._database.close()


def _dated(signature: str) -> str:
    """Return a signature that changes with the code that reads files."""
    return f"{_code()} {signature}"


@cache
def _code() -> str:
    """Return a digest of the code that reads metadata and makes items of it."""
    digest = hashlib.blake2b(digest_size=8)
    for folder in (Path(promptsearch.metadata.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _pack(items: Read) -> str:
    return json.dumps([_plain(item) for item in items])


def _plain(item: Item | Rejected) -> list[object]:
    if isinstance(item, Rejected):
        return [item.where, item.reason]
    return [item.key, item.source, item.prompt, dict(item.settings), dict(item.extra), dict(item.raw)]


def _unpack(packed: str, picture: FilePicture) -> Iterator[Item | Rejected]:
    for values in json.loads(packed):
        if len(values) == 2:
            yield Rejected(*values)
        else:
            key, source, prompt, settings, extra, raw = values
            yield Item(key, source, prompt, picture, settings=settings, extra=extra, raw=raw)
