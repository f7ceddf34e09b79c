"""Thumbnails of one version, by image row, in `thumbnails.sqlite`: WebP, at most 256 pixels a side."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from promptsearch.storage.sqlite import Database

SIDE = 256  # pixels
SCHEMA = "CREATE TABLE thumbnails (row INTEGER PRIMARY KEY, webp BLOB NOT NULL)"
_SELECT = "SELECT webp FROM thumbnails"
_QUALITY = 80


def make_thumbnail(picture: Image.Image) -> bytes:
    """Return an RGB picture as WebP; smaller pictures keep their size."""
    small = picture.copy()
    # Averaging whole blocks of pixels first is faster, and enough for sizes such as 512 and 1024.
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=1.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_QUALITY, method=2)
    return file.getvalue()


class Thumbnails:
    """Reads thumbnails; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises CollectionError if it is damaged."""
        self._database = Database(path, f"{_SELECT} LIMIT 1")
        self.empty = not self._database.rows(f"{_SELECT} LIMIT 1")

    def get(self, row: int) -> bytes | None:
        """Return the thumbnail of an image; None if it has none."""
        rows = self._database.rows(f"{_SELECT} WHERE row = ?", (row,))
        return bytes(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the file."""
        self._database.close()
