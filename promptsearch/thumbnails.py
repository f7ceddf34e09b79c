"""Thumbnails of one version: WebP, at most 256 pixels a side, in `thumbnails.sqlite` by image row."""

from __future__ import annotations

import io
import sqlite3
import threading
from pathlib import Path

from PIL import Image

from promptsearch.errors import CollectionError

SIDE = 256  # pixels
SCHEMA = "CREATE TABLE thumbnails (row INTEGER PRIMARY KEY, webp BLOB NOT NULL)"
_QUALITY = 80


def make_thumbnail(picture: Image.Image) -> bytes:
    """RGB picture -> WebP bytes; smaller pictures keep their size."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()


class Thumbnails:
    """Read access, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            try:
                self.get(0)
            except sqlite3.Error:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise CollectionError(f"{path} cannot be read: {error}") from error

    def get(self, row: int) -> bytes | None:
        with self._lock:
            found = self._connection.execute("SELECT webp FROM thumbnails WHERE row = ?", (row,)).fetchone()
        return None if found is None else bytes(found[0])

    def close(self) -> None:
        self._connection.close()
