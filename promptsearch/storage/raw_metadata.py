"""The texts that images' metadata was read from, by image row, in `raw.sqlite`: unchanged, compressed.

Generators read `parameters`, `prompt` and `workflow` again, which no reading of ours can give back.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from promptsearch.errors import CollectionError
from promptsearch.storage.sqlite import Database

SCHEMA = "CREATE TABLE raw (row INTEGER PRIMARY KEY, texts BLOB NOT NULL)"
MAX_BYTES = 2**27  # of one image's texts, decompressed
_SELECT = "SELECT texts FROM raw"


def pack(texts: Mapping[str, str]) -> bytes:
    """Compress texts by name: zlib of a JSON object."""
    return zlib.compress(json.dumps(dict(texts)).encode())


def unpack(packed: bytes) -> dict[str, str]:
    """Decompress what `pack` returned. Raises ValueError if it is damaged or has more than MAX_BYTES."""
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"the texts are damaged: {error}") from None
    if not inflate.eof:
        raise ValueError(f"expected at most {MAX_BYTES} bytes of texts, found more, or no end")
    texts: dict[str, str] = json.loads(content)
    return texts


class RawMetadata:
    """Reads the texts; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises CollectionError if it is damaged."""
        self._path = path
        self._database = Database(path, f"{_SELECT} LIMIT 1")

    def get(self, row: int) -> dict[str, str]:
        """Return the texts of an image by name; empty if it has none. Raises CollectionError if they are damaged."""
        rows = self._database.rows(f"{_SELECT} WHERE row = ?", (row,))
        try:
            return unpack(bytes(rows[0][0])) if rows else {}
        except ValueError as error:
            raise CollectionError(f"{self._path}: image {row}: {error}: build the collection again") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()
