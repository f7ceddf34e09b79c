"""SQLite files of a version, opened as immutable, so that SQLite needs no locks."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptsearch.errors import CollectionError, DamagedCollection

# Primary result codes of files that are damaged or that the disk cannot read.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}
_NOT_UTF8 = "Could not decode to UTF-8"  # Python's own error, which has no code


class Database:
    """One connection for all threads, opened at once, so that the file may be deleted while it is in use.

    It is closed by `close`, or when the object is garbage-collected.
    """

    def __init__(self, path: Path, probe: str) -> None:
        """Open `path` and run the query `probe`. Raises CollectionError if either fails."""
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._path = path
        self._lock = threading.Lock()  # statements take microseconds; one connection for each thread would cost memory
        try:
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._connection = connection
            self._close = weakref.finalize(self, connection.close)
            try:
                self.rows(probe)
            except (sqlite3.Error, CollectionError):
                self.close()
                raise
        except sqlite3.Error as error:
            raise CollectionError(f"{path} cannot be read: {error}") from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Raises DamagedCollection if the file is damaged."""
        try:
            with self._lock:
                return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _DAMAGE or _NOT_UTF8 in str(error):
                raise DamagedCollection(f"{self._path} cannot be read: {error}: build the collection again") from error
            raise

    def close(self) -> None:
        """Close the connection."""
        self._close()
