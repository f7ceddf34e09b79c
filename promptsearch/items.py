"""The items of one version: prompts, images and their metadata in `items.sqlite`.

A *prompt* is a unique text. An *image* is one generation: its prompt (or none), where it came from, how it was made.
Opened read-only and immutable, which frees SQLite from every lock.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptsearch.errors import CollectionError, UnknownItem

SCHEMA = """
CREATE TABLE prompts (
    row INTEGER PRIMARY KEY,          -- row of prompts.f16.npy and id in prompts.faiss
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    image_count INTEGER NOT NULL
);
CREATE TABLE images (
    row INTEGER PRIMARY KEY,          -- row of images.f16.npy and id in images.faiss; those without a vector come last
    id TEXT NOT NULL UNIQUE,
    prompt INTEGER REFERENCES prompts (row),
    file TEXT,                        -- path below the source's root, where there is a file
    source TEXT NOT NULL,             -- the file, archive member or link that it came from
    width INTEGER,                    -- pixels
    height INTEGER,
    seed INTEGER,
    steps INTEGER,
    cfg_scale REAL,
    sampler TEXT,
    model TEXT,
    created TEXT,                     -- ISO 8601, UTC
    extra TEXT                        -- whatever else the source said, as a JSON object
);
CREATE INDEX images_of_prompt ON images (prompt, row);
"""

SETTINGS = ("seed", "steps", "cfg_scale", "sampler", "model", "created")
IMAGE_COLUMNS = f"row, id, prompt, file, source, width, height, {', '.join(SETTINGS)}, extra"
_BATCH = 500  # rows a statement; SQLite allows 32,766 variables


def item_id(kind: str, key: str) -> str:
    """The id of an item: 20 hex digits of the SHA-256 of its key, the same in every build.

    An image's key is its place below the source's root; a prompt's is its exact text.
    """
    return hashlib.sha256(f"{kind}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


@dataclass(frozen=True)
class Prompt:
    row: int
    id: str
    text: str
    image_count: int


@dataclass(frozen=True)
class Image:
    row: int
    id: str
    prompt: int | None  # the prompt's row
    file: str | None
    source: str
    width: int | None
    height: int | None
    settings: Mapping[str, Any]  # those of seed, steps, cfg_scale, sampler, model, created that are known
    extra: Mapping[str, Any]


class ItemStore:
    """Read access, from any thread: each has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            self._rows("SELECT (SELECT count(*) FROM prompts), (SELECT count(*) FROM images)")
        except sqlite3.Error as error:
            self.close()
            raise CollectionError(f"{path} cannot be read: {error}") from error

    def prompts(self, rows: Sequence[int]) -> dict[int, Prompt]:
        """The prompts of these rows, by row."""
        return {
            found[0]: Prompt(*found)
            for found in self._in("SELECT row, id, text, image_count FROM prompts WHERE row", rows)
        }

    def images(self, rows: Sequence[int]) -> dict[int, Image]:
        """The images of these rows, by row."""
        return {found[0]: _image(found) for found in self._in(f"SELECT {IMAGE_COLUMNS} FROM images WHERE row", rows)}

    def prompt(self, id: str) -> Prompt:
        """Raises UnknownItem."""
        for found in self._with_id("SELECT row, id, text, image_count FROM prompts", id):
            return Prompt(*found)
        raise UnknownItem(f"there is no prompt with the id {id!r}")

    def image(self, id: str) -> Image:
        """Raises UnknownItem."""
        for found in self._with_id(f"SELECT {IMAGE_COLUMNS} FROM images", id):
            return _image(found)
        raise UnknownItem(f"there is no image with the id {id!r}")

    def images_of(self, prompt: int, limit: int) -> list[Image]:
        """The first images of a prompt, given by its row; those that have a vector come first."""
        sql = f"SELECT {IMAGE_COLUMNS} FROM images WHERE prompt = ? ORDER BY row LIMIT ?"
        return [_image(found) for found in self._rows(sql, (prompt, limit))]

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _with_id(self, select: str, id: str) -> list[tuple[Any, ...]]:
        # SQLite takes valid Unicode alone, but JSON can carry half a surrogate pair, which is no id of ours.
        return self._rows(f"{select} WHERE id = ?", (id,)) if id.isascii() else []

    def _in(self, select: str, rows: Sequence[int]) -> Iterable[tuple[Any, ...]]:
        for start in range(0, len(rows), _BATCH):
            batch = [int(row) for row in rows[start : start + _BATCH]]
            yield from self._rows(f"{select} IN ({','.join('?' * len(batch))})", batch)

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            # Closed by whichever thread closes the store; otherwise each is used by its own thread alone.
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return list(connection.execute(sql, parameters))


def _image(found: tuple[Any, ...]) -> Image:
    row, id, prompt, file, source, width, height, *settings, extra = found
    known = {name: value for name, value in zip(SETTINGS, settings, strict=True) if value is not None}
    return Image(row, id, prompt, file, source, width, height, known, json.loads(extra) if extra else {})
