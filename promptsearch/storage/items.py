"""The items of one version: prompts, images and their metadata in `items.sqlite`.

A *prompt* is a unique text. An *image* is one generation: its prompt (or none), where it came from, how it was made.
What is taken down (`promptsearch/storage/hidden.py`) is unknown here, whatever way one asks for it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
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
_IMAGES_OF = f"""SELECT {IMAGE_COLUMNS} FROM images WHERE row IN (
    SELECT own.row FROM json_each(?) AS wanted JOIN images AS own ON own.row IN (
        SELECT row FROM images WHERE prompt = wanted.value ORDER BY row LIMIT ?)
) ORDER BY row"""
_ROWS_OF = """SELECT images.row FROM json_each(?) AS wanted CROSS JOIN images ON images.prompt = wanted.value
    WHERE images.row < ? ORDER BY wanted.key, images.row"""
_BATCH = 500  # values a statement; SQLite allows 32,766


def item_id(kind: str, key: str) -> str:
    """The id of an item: 20 hex digits of the SHA-256 of its key, the same in every build.

    An image's key is its place below the source's root; a prompt's is its exact text.
    """
    return hashlib.sha256(f"{kind}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


# Named tuples: a search makes dozens, which takes a fraction of what frozen dataclasses take.
class Prompt(NamedTuple):
    row: int
    id: str
    text: str
    image_count: int


class Image(NamedTuple):
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
        """Whatever else the source said; parsed when asked for, which lists of results never do."""
        found: Mapping[str, Any] = json.loads(self.extra_json) if self.extra_json else {}
        return found


class ItemStore:
    """Read access, from any thread."""

    def __init__(self, path: Path) -> None:
        """Raises CollectionError."""
        self._database = Database(path, "SELECT (SELECT count(*) FROM prompts), (SELECT count(*) FROM images)")
        self._hidden: dict[Kind, Set[int]] = {"images": frozenset(), "prompts": frozenset()}
        self._hidden_of: Mapping[int, int] = {}

    def hiding(self, ids: Set[str]) -> ItemStore:
        """The same store, on the same connection, in which the items of these ids are unknown."""
        images = dict(self._in("SELECT row, prompt FROM images WHERE id", sorted(ids)))
        prompts = dict(self._in("SELECT row, id FROM prompts WHERE id", sorted(ids)))
        store = copy.copy(self)
        store._hidden = {"images": frozenset(images), "prompts": frozenset(prompts)}
        store._hidden_of = Counter(images.values())
        return store

    def hidden(self, kind: Kind) -> Set[int]:
        """The rows of what is taken down."""
        return self._hidden[kind]

    def prompts(self, rows: Sequence[int]) -> dict[int, Prompt]:
        """The prompts of these rows, by row; without those that are hidden."""
        found = self._in("SELECT row, id, text, image_count FROM prompts WHERE row", rows)
        return {one[0]: self._prompt(one) for one in found if one[0] not in self._hidden["prompts"]}

    def images(self, rows: Sequence[int]) -> dict[int, Image]:
        """The images of these rows, by row; without those that are hidden."""
        found = self._in(f"SELECT {IMAGE_COLUMNS} FROM images WHERE row", rows)
        return {one[0]: _image(one) for one in found if one[0] not in self._hidden["images"]}

    def prompt(self, id: str) -> Prompt:
        """Raises UnknownItem."""
        for found in self._with_id("SELECT row, id, text, image_count FROM prompts", id):
            if found[0] not in self._hidden["prompts"]:
                return self._prompt(found)
        raise UnknownItem(f"there is no prompt with the id {id!r}")

    def image(self, id: str) -> Image:
        """Raises UnknownItem."""
        for found in self._with_id(f"SELECT {IMAGE_COLUMNS} FROM images", id):
            if found[0] not in self._hidden["images"]:
                return _image(found)
        raise UnknownItem(f"there is no image with the id {id!r}")

    def rows(self, kind: Kind, ids: Sequence[str]) -> list[int]:
        """The rows of those of these ids that are known, in ascending order."""
        known = [id for id in ids if id.isascii()]
        found = {row for (row,) in self._in(f"SELECT row FROM {kind} WHERE id", known)}
        return sorted(found - self._hidden[kind])

    def images_by_prompt(self, prompts: Sequence[int], below: int) -> NDArray[np.int64]:
        """The rows, less than `below`, of the images of these prompts, in the order of the prompts."""
        found = self._database.rows(_ROWS_OF, (json.dumps(prompts), below))
        return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))

    def images_of(self, prompts: Sequence[int], limit: int) -> dict[int, list[Image]]:
        """The first images of each of these prompts, given by their rows; those that have a vector come first."""
        images: dict[int, list[Image]] = {prompt: [] for prompt in prompts}
        deepest = limit + max((self._hidden_of.get(prompt, 0) for prompt in images), default=0)
        for found in self._database.rows(_IMAGES_OF, (json.dumps(list(images)), deepest)):
            image = _image(found)
            assert image.prompt is not None
            if image.row not in self._hidden["images"] and len(images[image.prompt]) < limit:
                images[image.prompt].append(image)
        return images

    def close(self) -> None:
        self._database.close()

    def _prompt(self, found: tuple[Any, ...]) -> Prompt:
        row, id, text, image_count = found
        return Prompt(row, id, text, image_count - self._hidden_of.get(row, 0))

    def _in(self, select: str, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
        for start in range(0, len(values), _BATCH):
            batch = values[start : start + _BATCH]
            yield from self._database.rows(f"{select} IN ({','.join('?' * len(batch))})", batch)

    def _with_id(self, select: str, id: str) -> list[tuple[Any, ...]]:
        # SQLite takes valid Unicode alone, but JSON can carry half a surrogate pair, which is no id of ours.
        return self._database.rows(f"{select} WHERE id = ?", (id,)) if id.isascii() else []


def _image(found: tuple[Any, ...]) -> Image:
    row, id, prompt, file, source, width, height, *settings, extra = found
    known = {name: value for name, value in zip(SETTINGS, settings, strict=True) if value is not None}
    return Image(row, id, prompt, file, source, width, height, known, extra)
