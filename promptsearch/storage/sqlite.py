"""An SQLite file of a version: read-only and immutable, which frees SQLite from every lock."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptsearch.errors import CollectionError


class Database:
    """One connection for all threads, opened at once: the file may be deleted while it is still read.

    It is closed with `close`, or else when nobody refers to it any more.
    """

    def __init__(self, path: Path, probe: str) -> None:
        """Raises CollectionError where `path` cannot be read or the query `probe` fails."""
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._lock = threading.Lock()  # statements take microseconds; a connection a thread would cost memory for each
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
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        self._close()
