"""The version under construction: `indices/<collection>/staging/`, files that grow row by row.

It always starts empty: an interrupted build resumes from its encoded vectors (`encode/vector_cache.py`).
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import BuildError
from promptsearch.metadata.values import text
from promptsearch.storage import digests, items, raw_metadata, thumbnails
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import FILES, Manifest

from ..sources import Item, Rejected
from .vectors import VectorFile

_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,11}$")  # of a file's name


def staging_folder(collection: Path) -> Path:
    """Return the folder in which the next version of a collection is built."""
    return collection / "staging"


def staged_manifest(collection: Path) -> Manifest:
    """Return the manifest that `embed` (and then `index`) wrote. Raises BuildError if nothing is staged."""
    folder = staging_folder(collection)
    if not (folder / FILES.manifest).is_file():
        raise BuildError(f"nothing is staged for {collection.name}: run `python -m builder embed` first")
    return Manifest.read(folder)


Vector = NDArray[np.float16] | NDArray[np.float32]


class Staging:
    """Collects items, vectors, thumbnails and rejections; a `with` block that ends without an error keeps them."""

    def __init__(self, collection: Path, embedding_dim: int) -> None:
        self.folder = staging_folder(collection)
        self._dim = embedding_dim
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._has_digests = False
        self.quarantined = 0
        self.reasons: Counter[str] = Counter()
        self._next_prompt = 0
        self._without_vector = 0
        self._repeats: dict[str, int] = {}  # the number of occurrences of keys that occurred again
        self._has_raw = False
        with ExitStack() as files:  # which an error closes
            self._create(files)
            self._files = files.pop_all()

    def _create(self, files: ExitStack) -> None:
        self.images = files.enter_context(VectorFile(self.folder / FILES.vectors("images"), self._dim))
        self.prompts = files.enter_context(VectorFile(self.folder / FILES.vectors("prompts"), self._dim))
        self._digests = files.enter_context(VectorFile(self.folder / FILES.digests, digests.SIZE, "|u1"))
        self._items = _database(files, self.folder / FILES.items, items.SCHEMA)
        self._items.execute("CREATE TEMP TABLE source_vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL)")
        self._thumbnails = _database(files, self.folder / FILES.thumbnails, thumbnails.SCHEMA)
        self._raw = _database(files, self.folder / FILES.raw, raw_metadata.SCHEMA)
        path = self.folder / FILES.quarantine
        self._quarantine = csv.writer(files.enter_context(path.open("w", newline="", encoding="utf-8")))
        self._quarantine.writerow(("where", "reason"))

    def reject(self, rejected: Rejected) -> None:
        """Write a rejection to the quarantine file, and count its reason."""
        # Messages may name files whose names are not UTF-8.
        self._quarantine.writerow((text(rejected.where), text(rejected.reason)))
        self.quarantined += 1
        # The text before a colon is the kind of error; the rest is about this row.
        suffix = _SUFFIX.search(rejected.where)
        self.reasons[rejected.reason.partition(":")[0] + (f" ({suffix[0].lower()})" if suffix else "")] += 1

    def add(
        self,
        item: Item,
        vector: Vector | None,
        size: tuple[int, int] | None = None,
        thumbnail: bytes | None = None,
        digest: bytes | None = None,
    ) -> None:
        """Store an item, with its picture's unit vector (float16 or float32 [embedding_dim]) if it has one.

        `size` (width, height in pixels), `thumbnail` (WebP) and `digest` (of the content) are those of the decoded
        picture, if there is one. Raises BuildError if the item's own vectors are of another dimension.
        """
        for own in (item.vector, item.prompt_vector):
            if own is not None and own.shape != (self._dim,):
                raise BuildError(
                    f"the source's vectors have {own.shape[-1]} dimensions, the model's {self._dim}: "
                    "name the model that computed them"
                )
        prompt = None if item.prompt is None else self._prompt_row(item.prompt)
        if prompt is not None and item.prompt_vector is not None:
            self._items.execute(
                "INSERT INTO source_vectors VALUES (?, ?) ON CONFLICT DO NOTHING",
                (prompt, item.prompt_vector.astype("<f2").tobytes()),
            )
        if vector is not None:
            row = self.images.rows
            self.images.append(vector[np.newaxis])
            self._digests.append(np.frombuffer(digest or digests.UNKNOWN, dtype=np.uint8)[np.newaxis])
            self._has_digests |= digest is not None
        else:
            self._without_vector += 1
            row = -self._without_vector  # placed after all rows with a vector, in `__exit__`
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
        while True:  # a repeated key (the same link on two rows) is another generation
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
        """Yield all prompts by row, `size` at a time, each with the vector from its source or None."""
        sql = "SELECT text, vector FROM prompts LEFT JOIN source_vectors USING (row) ORDER BY row"
        cursor = self._items.execute(sql)
        while batch := cursor.fetchmany(size):
            yield [(text, None if vector is None else np.frombuffer(vector, dtype="<f2")) for text, vector in batch]

    def mark_truncated(self, prompt: int) -> None:
        """Set `prompt_truncated` in the `extra` of the images of this prompt, a row of the prompts."""
        sql = "UPDATE images SET extra = json_set(coalesce(extra, '{}'), '$.prompt_truncated', json('true'))"
        self._items.execute(f"{sql} WHERE prompt = ?", (prompt,))

    def counts(self) -> dict[str, int]:
        """Return the number of prompts, images, image vectors and rejections so far, under the manifest's names."""
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
        if kind is not None:
            self._files.__exit__(kind, error, trace)
            return
        with self._files:
            self._commit()
        self._remove_empty()

    def _commit(self) -> None:
        """Place images without a vector behind all others, and commit the databases."""
        for database, table in ((self._items, "images"), (self._raw, "raw")):
            database.execute(f"UPDATE {table} SET row = ? - row - 1 WHERE row < 0", (self.images.rows,))
        for database in (self._items, self._thumbnails, self._raw):
            database.commit()

    def _remove_empty(self) -> None:
        """Delete the files that hold nothing: versions have none of these."""
        if not self._has_raw:
            (self.folder / FILES.raw).unlink()
        if not self._has_digests:
            (self.folder / FILES.digests).unlink()
        if not self.images.rows:
            for name in (FILES.vectors("images"), FILES.thumbnails):
                (self.folder / name).unlink()
        if not self.prompts.rows:
            (self.folder / FILES.vectors("prompts")).unlink()


def _database(files: ExitStack, path: Path, schema: str) -> sqlite3.Connection:
    """Open a new database without a journal, because the next build discards a staging folder after a crash."""
    database = files.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {schema}; BEGIN")
    return database
