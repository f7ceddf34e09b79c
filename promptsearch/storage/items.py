"""The items of one version, prompts, images and their metadata, in `items.sqlite`.

A *prompt* is a unique text. An *image* is one generation: its prompt (or none), its source and its settings. Hidden
items (`promptsearch/storage/hidden.py`) are treated as unknown.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import UnknownItem
from promptsearch.storage.manifest import Kind
from promptsearch.storage.sqlite import Database

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
    file TEXT,                        -- path below the source's root; null if there is no file
    source TEXT NOT NULL,             -- the file, archive member or link that it came from
    width INTEGER,                    -- pixels
    height INTEGER,
    seed INTEGER,
    steps INTEGER,
    cfg_scale REAL,
    sampler TEXT,
    model TEXT,
    created TEXT,                     -- ISO 8601, UTC
    extra TEXT                        -- further metadata of the source, as a JSON object
);
CREATE INDEX images_of_prompt ON images (prompt, row);
"""

SETTINGS = ("seed", "steps", "cfg_scale", "sampler", "model", "created")
IMAGE_COLUMNS = f"row, id, prompt, file, source, width, height, {', '.join(SETTINGS)}, extra"
_IMAGES_OF = f"""SELECT {IMAGE_COLUMNS} FROM images WHERE row IN (
    SELECT own.row FROM json_each(?) AS wanted JOIN images AS own ON own.row IN (
        SELECT row FROM images WHERE prompt = wanted.value ORDER BY row LIMIT ?)
) ORDER BY row"""
_ROWS_OF = """SELECT images.row FROM json_each(?) AS wanted CROSS JOIN images ON images.prompt = wanted.value
    WHERE images.row < ? ORDER BY wanted.key, images.row"""
_BATCH = 500  # values of one statement; SQLite allows 32,766


def item_id(kind: str, key: str) -> str:
    """Return the id of an item, the same in every build: 20 hex digits of the SHA-256 of its key.

    The key of an image is its path relative to the source's root, that of a prompt its exact text.
    """
    return hashlib.sha256(f"{kind}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


# Named tuples are created in a fraction of the time of frozen dataclasses, and each search creates dozens.
class Prompt(NamedTuple):
    """A prompt, as stored."""

    row: int
    id: str
    text: str
    image_count: int


class Image(NamedTuple):
    """An image, as stored."""

    row: int
    id: str
    prompt: int | None  # the prompt's row
    file: str | None
    source: str
    width: int | None
    height: int | None
    settings: Mapping[str, Any]  # those of seed, steps, cfg_scale, sampler, model, created that are known
    extra_json: str | None

    @property
    def extra(self) -> Mapping[str, Any]:
        """Return the further metadata of the source; parsed here, because lists of results never need it."""
        extra: Mapping[str, Any] = json.loads(self.extra_json) if self.extra_json else {}
        return extra


@dataclass(frozen=True)
class HiddenRows:
    """The rows of hidden items of one version, and the number of hidden images of each prompt's row."""

    images: frozenset[int] = frozenset()
    prompts: frozenset[int] = frozenset()
    images_of_prompt: Mapping[int | None, int] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Mapping[int, int | None], prompts: Iterable[int]) -> HiddenRows:
        """Return the hidden rows for `images` (row -> row of the prompt) and `prompts` (rows)."""
        return cls(frozenset(images), frozenset(prompts), Counter(images.values()))

    def of_kind(self, kind: Kind) -> Set[int]:
        """Return the hidden rows of a kind."""
        return self.images if kind == "images" else self.prompts

    def depth(self, prompts: Iterable[int], limit: int) -> int:
        """Return how many images of each prompt to read so that `limit` of them are not hidden."""
        return limit + max((self.images_of_prompt.get(prompt, 0) for prompt in prompts), default=0)

    def first_images(self, images: Iterable[Image], prompts: Sequence[int], limit: int) -> dict[int, list[Image]]:
        """Return the first `limit` images of each prompt that are not hidden, in the order of `images`."""
        first: dict[int, list[Image]] = {prompt: [] for prompt in prompts}
        for image in images:
            assert image.prompt is not None
            if image.row not in self.images and len(first[image.prompt]) < limit:
                first[image.prompt].append(image)
        return first


class ItemStore:
    """Reads the items of one version; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises CollectionError if it is damaged."""
        self._database = Database(path, "SELECT (SELECT count(*) FROM prompts), (SELECT count(*) FROM images)")
        self._hidden = HiddenRows()

    def find_hidden(self, ids: Set[str]) -> HiddenRows:
        """Return the rows of the items with these ids, for `with_hidden`; unknown ids are ignored."""
        images = dict(self._in("SELECT row, prompt FROM images WHERE id", sorted(ids)))
        prompts = dict(self._in("SELECT row, id FROM prompts WHERE id", sorted(ids)))
        return HiddenRows.of(images, prompts)

    def with_hidden(self, hidden: HiddenRows) -> ItemStore:
        """Return the same store, on the same connection, without these rows."""
        store = copy.copy(self)
        store._hidden = hidden
        return store

    def hidden(self, kind: Kind) -> Set[int]:
        """Return the rows of hidden items."""
        return self._hidden.of_kind(kind)

    def prompts(self, rows: Sequence[int]) -> dict[int, Prompt]:
        """Return the prompts of these rows, by row, without hidden ones."""
        records = self._in("SELECT row, id, text, image_count FROM prompts WHERE row", rows)
        return {record[0]: self._prompt(record) for record in records if record[0] not in self._hidden.prompts}

    def images(self, rows: Sequence[int]) -> dict[int, Image]:
        """Return the images of these rows, by row, without hidden ones."""
        records = self._in(f"SELECT {IMAGE_COLUMNS} FROM images WHERE row", rows)
        return {record[0]: _image(record) for record in records if record[0] not in self._hidden.images}

    def prompt(self, id: str) -> Prompt:
        """Return a prompt by id. Raises UnknownItem."""
        for record in self._with_id("SELECT row, id, text, image_count FROM prompts", id):
            if record[0] not in self._hidden.prompts:
                return self._prompt(record)
        raise UnknownItem("there is no prompt with this id")

    def image(self, id: str) -> Image:
        """Return an image by id. Raises UnknownItem."""
        for record in self._with_id(f"SELECT {IMAGE_COLUMNS} FROM images", id):
            if record[0] not in self._hidden.images:
                return _image(record)
        raise UnknownItem("there is no image with this id")

    def rows(self, kind: Kind, ids: Sequence[str]) -> list[int]:
        """Return the rows of the known ids among these, ascending."""
        ascii_ids = [id for id in ids if id.isascii()]
        rows = {row for (row,) in self._in(f"SELECT row FROM {kind} WHERE id", ascii_ids)}
        return sorted(rows - self._hidden.of_kind(kind))

    def images_by_prompt(self, prompts: Sequence[int], below: int) -> NDArray[np.int64]:
        """Return the rows, below `below`, of the images of these prompts, in the order of the prompts: int64 [n]."""
        rows = self._database.rows(_ROWS_OF, (json.dumps(prompts), below))
        return np.fromiter((row for (row,) in rows), dtype=np.int64, count=len(rows))

    def images_of(self, prompts: Sequence[int], limit: int) -> dict[int, list[Image]]:
        """Return the first images of each prompt, by the prompts' rows; those that have a vector come first."""
        depth = self._hidden.depth(prompts, limit)
        records = self._database.rows(_IMAGES_OF, (json.dumps([*dict.fromkeys(prompts)]), depth))
        return self._hidden.first_images(map(_image, records), prompts, limit)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _prompt(self, record: tuple[Any, ...]) -> Prompt:
        row, id, text, image_count = record
        return Prompt(row, id, text, image_count - self._hidden.images_of_prompt.get(row, 0))

    def _in(self, select: str, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
        for start in range(0, len(values), _BATCH):
            batch = values[start : start + _BATCH]
            yield from self._database.rows(f"{select} IN ({','.join('?' * len(batch))})", batch)

    def _with_id(self, select: str, id: str) -> list[tuple[Any, ...]]:
        # Ids are ASCII. Other text may contain half a surrogate pair, which SQLite does not accept.
        return self._database.rows(f"{select} WHERE id = ?", (id,)) if id.isascii() else []


def _image(record: tuple[Any, ...]) -> Image:
    row, id, prompt, file, source, width, height, *settings, extra = record
    known = {name: value for name, value in zip(SETTINGS, settings, strict=True) if value is not None}
    return Image(row, id, prompt, file, source, width, height, known, extra)
