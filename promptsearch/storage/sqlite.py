"""SQLite files of a version, opened as immutable, so that SQLite needs no locks."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptsearch.errors import CollectionError


class Database:
    """One connection for all threads, opened at once, so that the file may be deleted while it is in use.

    It is closed by `close`, or when the object is garbage-collected.
    """

    def __init__(self, path: Path, probe: str) -> None:
        """Open `path` and run the query `probe`. Raises CollectionError if either fails."""
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._lock = threading.Lock()  # statements take microseconds; one connection for each thread would cost memory
        try:
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._connection = connection
            self._close = weakref.finalize(self, connection.close)
            try:
                self.rows(probe)
            except sqlite3.Error:
                self.close()
                raise
        except sqlite3.Error as error:
            raise CollectionError(f"{path} cannot be read: {error}") from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._close()
