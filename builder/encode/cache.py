"""Vectors that were computed before: `indices/<collection>/cache/<model>.sqlite`, by the content of what was encoded.

Every batch is one transaction, so a build that is killed at any moment keeps all but the batch in flight, and the next
one goes on there. The file may be deleted at any time; the next build then computes everything again.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BuildError
from promptsearch.storage import digests

VERSION = 2  # of the schema and of how thumbnails are made; a file of another is made anew
_SCHEMA = """
CREATE TABLE pictures (digest BLOB PRIMARY KEY, vector BLOB NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
                       thumbnail BLOB NOT NULL);
CREATE TABLE texts (digest BLOB PRIMARY KEY, vector BLOB NOT NULL);
"""
_BATCH = 500  # digests a statement

Vector = NDArray[np.float16]


def digest_of(content: bytes) -> bytes:
    """Return 16 bytes that stand for the content. Versions and takedowns keep them: they never change."""
    return hashlib.blake2b(content, digest_size=digests.SIZE).digest()


@dataclass(frozen=True)
class CachedPicture:
    """A picture's unit vector, float16 [embedding_dim], its size in pixels and its thumbnail (WebP)."""

    vector: Vector
    size: tuple[int, int]
    thumbnail: bytes


class Cache:
    """What this collection's builds have encoded with one model. Close it by leaving the `with` block."""

    def __init__(self, collection: Path, bundle: Bundle) -> None:
        self.path = collection / "cache" / f"{bundle.identity[:16]}.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            raise BuildError(f"{self.path} is damaged ({error}): delete it, it can be computed again") from error

    def picture(self, digest: bytes) -> CachedPicture | None:
        """Return what is known of a picture; None if it was not encoded yet."""
        sql = "SELECT vector, width, height, thumbnail FROM pictures WHERE digest = ?"
        found = self._database.execute(sql, (digest,)).fetchone()
        if found is None:
            return None
        vector, width, height, thumbnail = found
        return CachedPicture(np.frombuffer(vector, dtype="<f2"), (width, height), thumbnail)

    def has_picture(self, digest: bytes) -> bool:
        """Return whether the vector of a picture is known."""
        return self._database.execute("SELECT 1 FROM pictures WHERE digest = ?", (digest,)).fetchone() is not None

    def texts(self, digests: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return the vectors of the texts that are known, by digest: float16 [embedding_dim] each."""
        known: dict[bytes, Vector] = {}
        for start in range(0, len(digests), _BATCH):
            batch = digests[start : start + _BATCH]
            sql = f"SELECT digest, vector FROM texts WHERE digest IN ({','.join('?' * len(batch))})"
            known |= {
                digest: np.frombuffer(vector, dtype="<f2") for digest, vector in self._database.execute(sql, batch)
            }
        return known

    def add_pictures(self, pictures: Iterable[tuple[bytes, CachedPicture]]) -> None:
        """Durable when this returns, all of them or none."""
        rows = [(digest, one.vector.tobytes(), *one.size, one.thumbnail) for digest, one in pictures]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?)", rows)

    def add_texts(self, vectors: Iterable[tuple[bytes, Vector]]) -> None:
        """Durable when this returns, all of them or none."""
        rows = [(digest, vector.tobytes()) for digest, vector in vectors]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", rows)

    def write_known(self, path: Path) -> None:
        """Write the digests of all pictures, and nothing else, to a new file that `KnownPictures` reads."""
        self._database.execute("ATTACH DATABASE ? AS known", (str(path),))
        self._database.execute("CREATE TABLE known.pictures (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        with self._database:
            self._database.execute("INSERT INTO known.pictures SELECT digest FROM pictures ORDER BY digest")
        self._database.execute("DETACH DATABASE known")

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path)
        # Readers (the decoding processes) and the writer don't wait for each other.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f"DROP TABLE {name}")
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        return database

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


class KnownPictures:
    """Read-only look into a cache, or what `Cache.write_known` made of it: which pictures need no decoding."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)

    def __contains__(self, digest: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM pictures WHERE digest = ?", (digest,)).fetchone() is not None
