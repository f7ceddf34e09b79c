"""A cache of vectors by the digest of the encoded content: `indices/.cache/<model>.sqlite`, for all collections.

Every batch is one transaction, so a build that is killed at any moment keeps all but the batch in flight, and the next
one resumes there. The file may be deleted at any time; the next build then encodes everything again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BuildError
from promptsearch.system.locks import exclusive_lock

from ..versions.versions import cache_folder

# Of the schema and of the thumbnails. Files of earlier versions are upgraded in place: version 2 lacks the column
# `truncated`, and version 1 has other thumbnails as well. Files of later versions are replaced.
VERSION = 3
_SCHEMA = """
CREATE TABLE pictures (digest BLOB PRIMARY KEY, vector BLOB NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
                       thumbnail BLOB NOT NULL);
CREATE TABLE texts (digest BLOB PRIMARY KEY, vector BLOB NOT NULL, truncated INTEGER);
"""
_UPGRADES = {
    1: "DELETE FROM pictures; ALTER TABLE texts ADD COLUMN truncated INTEGER;",
    2: "ALTER TABLE texts ADD COLUMN truncated INTEGER;",
}
_BATCH = 500  # digests a statement
_WAIT = 60.0  # seconds for another build that writes to the same file

Vector = NDArray[np.float16]


@dataclass(frozen=True)
class CachedPicture:
    """A picture's unit vector, float16 [embedding_dim], its size in pixels and its thumbnail (WebP)."""

    vector: Vector
    size: tuple[int, int]
    thumbnail: bytes


@dataclass(frozen=True)
class CachedText:
    """A text's unit vector, float16 [embedding_dim]; whether the model truncated the text, None if that is unknown."""

    vector: Vector
    truncated: bool | None


class Cache:
    """The vectors that builds of these collections have encoded with one model. The `with` block closes it."""

    def __init__(self, collection: Path, bundle: Bundle) -> None:
        self.path = cache_folder(collection.parent) / f"{bundle.identity[:16]}.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive_lock(self.path.with_suffix(".lock")):  # of builds that create or upgrade it at the same time
                self._database = _opened(self.path)
                self._take_over(collection / "cache" / self.path.name)
        except sqlite3.DatabaseError as error:
            raise BuildError(
                f"{self.path} is damaged ({error}): delete it; the next build encodes everything again"
            ) from error

    def picture(self, digest: bytes) -> CachedPicture | None:
        """Return the cached picture; None if it was not encoded yet."""
        sql = "SELECT vector, width, height, thumbnail FROM pictures WHERE digest = ?"
        row = self._database.execute(sql, (digest,)).fetchone()
        if row is None:
            return None
        vector, width, height, thumbnail = row
        return CachedPicture(np.frombuffer(vector, dtype="<f2"), (width, height), thumbnail)

    def has_picture(self, digest: bytes) -> bool:
        """Return whether the vector of a picture is cached."""
        return self._database.execute("SELECT 1 FROM pictures WHERE digest = ?", (digest,)).fetchone() is not None

    def texts(self, digests: Sequence[bytes]) -> dict[bytes, CachedText]:
        """Return the cached ones of these texts, by digest."""
        known: dict[bytes, CachedText] = {}
        for start in range(0, len(digests), _BATCH):
            batch = digests[start : start + _BATCH]
            sql = f"SELECT digest, vector, truncated FROM texts WHERE digest IN ({','.join('?' * len(batch))})"
            known |= {
                digest: CachedText(np.frombuffer(vector, dtype="<f2"), None if truncated is None else bool(truncated))
                for digest, vector, truncated in self._database.execute(sql, batch)
            }
        return known

    def add_pictures(self, pictures: Iterable[tuple[bytes, CachedPicture]]) -> None:
        """Store pictures by digest in one transaction: all of them or none."""
        rows = [(digest, picture.vector.tobytes(), *picture.size, picture.thumbnail) for digest, picture in pictures]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?)", rows)

    def add_texts(self, digests: Iterable[bytes], vectors: Iterable[Vector], truncated: Iterable[bool]) -> None:
        """Store the vectors of texts by digest, and which were truncated, in one transaction: all of them or none."""
        rows = [
            (digest, vector.tobytes(), bool(cut))
            for digest, vector, cut in zip(digests, vectors, truncated, strict=True)
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", rows)

    def mark_truncated(self, truncated: Mapping[bytes, bool]) -> None:
        """Store of cached texts, by digest, whether the model truncates them."""
        with self._database:
            rows = [(cut, digest) for digest, cut in truncated.items()]
            self._database.executemany("UPDATE texts SET truncated = ? WHERE digest = ?", rows)

    def write_known(self, path: Path) -> None:
        """Write the digests of all pictures, without their content, to a new file that `KnownPictures` reads."""
        self._database.execute("ATTACH DATABASE ? AS known", (str(path),))
        self._database.execute("CREATE TABLE known.pictures (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        with self._database:
            self._database.execute("INSERT INTO known.pictures SELECT digest FROM pictures ORDER BY digest")
        self._database.execute("DETACH DATABASE known")

    def _take_over(self, old: Path) -> None:
        """Move the vectors of a cache of one collection, as earlier releases kept them, to this one."""
        if not old.is_file():
            return
        _opened(old).close()  # upgrades it
        self._database.execute("ATTACH DATABASE ? AS old", (str(old),))
        with self._database:
            for table in ("pictures", "texts"):
                self._database.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM old.{table}")
        self._database.execute("DETACH DATABASE old")
        old.unlink()

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


def _opened(path: Path) -> sqlite3.Connection:
    """Open a cache, which is created or upgraded."""
    database = sqlite3.connect(path, timeout=_WAIT)
    # Readers (the decoding processes) and the writer don't wait for each other.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version in _UPGRADES:
        database.executescript(f"BEGIN; {_UPGRADES[version]} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            database.execute(f"DROP TABLE {name}")
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    return database


class KnownPictures:
    """A read-only set of the digests in a cache, or in a file of `Cache.write_known`: pictures to skip.

    `close` it, or leave that to the end of the process.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)

    def __contains__(self, digest: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM pictures WHERE digest = ?", (digest,)).fetchone() is not None

    def close(self) -> None:
        """Close the file."""
        self._database.close()
