"""A version in the making: `indices/<collection>/staging/`, the files of a version as rows come in."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import BuildError
from promptsearch.storage import digests, items, raw_metadata, thumbnails
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import FILES, Manifest

from ..sources import Item, Rejected
from .vectors import VectorFile

_ENDING = re.compile(r"\.[A-Za-z]\w{0,11}$")  # of a file's name


def staging_folder(collection: Path) -> Path:
    """Return the folder that a collection's next version is built in."""
    return collection / "staging"


def staged_manifest(collection: Path) -> Manifest:
    """Return the manifest that `embed` (and then `index`) left. Raises BuildError if nothing is staged."""
    folder = staging_folder(collection)
    if not (folder / FILES.manifest).is_file():
        raise BuildError(f"nothing is staged for {collection.name}: run `python -m builder embed` first")
    return Manifest.read(folder)


Vector = NDArray[np.float16] | NDArray[np.float32]


class Staging:
    """Collects items, vectors, thumbnails and rejections. Leave the `with` block without an error to keep them."""

    def __init__(self, collection: Path, embedding_dim: int) -> None:
        self.folder = staging_folder(collection)
        self._dim = embedding_dim
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.images = VectorFile(self.folder / FILES.vectors("images"), embedding_dim)
        self.prompts = VectorFile(self.folder / FILES.vectors("prompts"), embedding_dim)
        self._digests = VectorFile(self.folder / FILES.digests, digests.SIZE, "|u1")
        self._has_digests = False
        self.quarantined = 0
        self.reasons: Counter[str] = Counter()
        self._next_prompt = 0
        self._without_vector = 0
        self._repeats: dict[str, int] = {}  # how often a key has come, of those that came again
        self._items = _database(self.folder / FILES.items, items.SCHEMA)
        self._items.execute("CREATE TEMP TABLE given (row INTEGER PRIMARY KEY, vector BLOB NOT NULL)")
        self._thumbnails = _database(self.folder / FILES.thumbnails, thumbnails.SCHEMA)
        self._raw = _database(self.folder / FILES.raw, raw_metadata.SCHEMA)
        self._has_raw = False
        self._quarantine_file = (self.folder / FILES.quarantine).open("w", newline="", encoding="utf-8")
        self._quarantine = csv.writer(self._quarantine_file)
        self._quarantine.writerow(("where", "reason"))

    def reject(self, rejected: Rejected) -> None:
        """Write a rejection to the quarantine file, and count its reason."""
        self._quarantine.writerow((rejected.where, rejected.reason))
        self.quarantined += 1
        # The part before a colon is the same for all of its kind; what follows tells of the one row.
        ending = _ENDING.search(rejected.where)
        self.reasons[rejected.reason.partition(":")[0] + (f" ({ending[0].lower()})" if ending else "")] += 1

    def add(
        self,
        item: Item,
        vector: Vector | None,
        size: tuple[int, int] | None = None,
        thumbnail: bytes | None = None,
        digest: bytes | None = None,
    ) -> None:
        """Store an item, with its picture's unit vector (float16 or float32 [dim]) if it has one.

        `size`, `thumbnail` and `digest` (of the content) are those of the decoded picture, if one was decoded.
        """
        for given in (item.vector, item.prompt_vector):
            if given is not None and given.shape != (self._dim,):
                raise BuildError(
                    f"the source's vectors have {given.shape[-1]} dimensions, the model's {self._dim}: "
                    "name the model that they were made with"
                )
        prompt = None if item.prompt is None else self._prompt_row(item.prompt)
        if prompt is not None and item.prompt_vector is not None:
            self._items.execute(
                "INSERT INTO given VALUES (?, ?) ON CONFLICT DO NOTHING",
                (prompt, item.prompt_vector.astype("<f2").tobytes()),
            )
        if vector is not None:
            row = self.images.rows
            self.images.append(vector[np.newaxis])
            self._digests.append(np.frombuffer(digest or digests.UNKNOWN, dtype=np.uint8)[np.newaxis])
            self._has_digests |= digest is not None
        else:
            self._without_vector += 1
            row = -self._without_vector  # numbered after all that have a vector, when they are counted
        file = item.picture.file if item.picture and vector is not None else None
        settings = [item.settings.get(name) for name in items.SETTINGS]
        extra = json.dumps(item.extra, ensure_ascii=False) if item.extra else None
        width, height = size or (item.width, item.height)
        values = [prompt, file, item.source, width, height, *settings, extra]
        sql = (
            f"INSERT INTO images ({items.IMAGE_COLUMNS}) VALUES ({','.join('?' * (2 + len(values)))}) "
            "ON CONFLICT (id) DO NOTHING"
        )
        repeat = self._repeats.get(item.key, 1)
        while True:  # a key that occurs again (the same link on two rows) is another generation
            id = item_id("image", item.key if repeat == 1 else f"{item.key}#{repeat}")
            if self._items.execute(sql, (row, id, *values)).rowcount:
                break
            repeat += 1
            self._repeats[item.key] = repeat
        if thumbnail:
            self._thumbnails.execute("INSERT INTO thumbnails VALUES (?, ?)", (row, thumbnail))
        if item.raw:
            self._raw.execute("INSERT INTO raw VALUES (?, ?)", (row, raw_metadata.pack(item.raw)))
            self._has_raw = True

    def texts(self, size: int) -> Iterator[list[tuple[str, NDArray[np.float16] | None]]]:
        """All prompts in the order of their rows, `size` at a time, each with the vector that its source gave."""
        cursor = self._items.execute("SELECT text, vector FROM prompts LEFT JOIN given USING (row) ORDER BY row")
        while batch := cursor.fetchmany(size):
            yield [(text, None if given is None else np.frombuffer(given, dtype="<f2")) for text, given in batch]

    def mark_truncated(self, prompt: int) -> None:
        """Say in the `extra` of a prompt's images (the row is the prompt's) that the model reads only its beginning."""
        sql = "UPDATE images SET extra = json_set(coalesce(extra, '{}'), '$.prompt_truncated', json('true'))"
        self._items.execute(f"{sql} WHERE prompt = ?", (prompt,))

    def counts(self) -> dict[str, int]:
        """Return the number of prompts, images, image vectors and rejections so far, as a manifest has them."""
        (prompts,) = self._items.execute("SELECT count(*) FROM prompts").fetchone()
        return {
            "prompts": prompts,
            "images": self.images.rows + self._without_vector,
            "image_vectors": self.images.rows,
            "quarantined": self.quarantined,
        }

    def _prompt_row(self, text: str) -> int:
        sql = (
            "INSERT INTO prompts (row, id, text, image_count) VALUES (?, ?, ?, 1) "
            "ON CONFLICT (id) DO UPDATE SET image_count = image_count + 1 RETURNING row"
        )
        (row,) = self._items.execute(sql, (self._next_prompt, item_id("prompt", text), text)).fetchone()
        self._next_prompt += row == self._next_prompt
        return int(row)

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            first = self.images.rows
            for database, table in ((self._items, "images"), (self._raw, "raw")):
                database.execute(f"UPDATE {table} SET row = ? - row - 1 WHERE row < 0", (first,))
            for database in (self._items, self._thumbnails, self._raw):
                database.commit()
        for database in (self._items, self._thumbnails, self._raw):
            database.close()
        self._quarantine_file.close()
        for rows in (self.images, self.prompts, self._digests):
            rows.__exit__(kind, error, trace)
        if kind is None and not self._has_raw:
            (self.folder / FILES.raw).unlink()
        if kind is None and not self._has_digests:
            (self.folder / FILES.digests).unlink()
        if kind is None and not self.images.rows:
            for name in (FILES.vectors("images"), FILES.thumbnails):
                (self.folder / name).unlink()
        if kind is None and not self.prompts.rows:
            (self.folder / FILES.vectors("prompts")).unlink()


def _database(path: Path, schema: str) -> sqlite3.Connection:
    """Open a new database without a journal, since a staging folder that a crash left is thrown away."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {schema}; BEGIN")
    return database
