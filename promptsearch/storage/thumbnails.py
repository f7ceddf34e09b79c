"""Thumbnails of one version: WebP, at most 256 pixels a side, in `thumbnails.sqlite` by image row."""

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
    """RGB picture -> WebP bytes; smaller pictures keep their size."""
    small = picture.copy()
    # Averaged by whole numbers of pixels first, which is all that sizes such as 512 and 1024 need.
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=1.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()


class Thumbnails:
    """Read access, from any thread."""

    def __init__(self, path: Path) -> None:
        """Raises CollectionError."""
        self._database = Database(path, f"{_SELECT} LIMIT 1")
        self.empty = not self._database.rows(f"{_SELECT} LIMIT 1")

    def get(self, row: int) -> bytes | None:
        found = self._database.rows(f"{_SELECT} WHERE row = ?", (row,))
        return bytes(found[0][0]) if found else None

    def close(self) -> None:
        self._database.close()
