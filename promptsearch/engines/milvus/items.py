"""Prompts and images of one version, as Milvus holds them: see `promptsearch.engine.Items`."""

from __future__ import annotations

import base64
import copy
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

from promptsearch.engines.milvus.connection import Connection, literal
from promptsearch.engines.milvus.schema import DOCUMENT, ID, IMAGE_COUNT, IMAGE_PROMPT, MOST_FOUND, ROW, TEXT
from promptsearch.errors import UnknownItem
from promptsearch.storage.items import SETTINGS, Image, Prompt
from promptsearch.storage.manifest import Kind, MilvusReference

_IMAGE = (ID, IMAGE_PROMPT, DOCUMENT)
_PROMPT = (ID, TEXT, IMAGE_COUNT)
_UNPACKED = 2_000  # bytes; ComfyUI's graphs are a hundred thousand


class MilvusItems:
    def __init__(self, connection: Connection, names: MilvusReference) -> None:
        self._connection = connection
        self._names = names
        self._hidden: Mapping[Kind, Set[int]] = {"images": frozenset(), "prompts": frozenset()}
        self._hidden_of: Mapping[int, int] = {}

    def hiding(self, ids: Set[str]) -> MilvusItems:
        images = {one[ROW]: one[IMAGE_PROMPT] for one in self._of(self._names.images, ID, sorted(ids), [IMAGE_PROMPT])}
        prompts = [one[ROW] for one in self._of(self._names.prompts, ID, sorted(ids), [])]
        items = copy.copy(self)
        items._hidden = {"images": frozenset(images), "prompts": frozenset(prompts)}
        items._hidden_of = Counter(images.values())
        return items

    def hidden(self, kind: Kind) -> Set[int]:
        return self._hidden[kind]

    def prompts(self, rows: Sequence[int]) -> dict[int, Prompt]:
        found = self._of(self._names.prompts, ROW, rows, _PROMPT)
        return {one[ROW]: self._prompt(one) for one in found if one[ROW] not in self._hidden["prompts"]}

    def images(self, rows: Sequence[int]) -> dict[int, Image]:
        found = self._of(self._names.images, ROW, rows, _IMAGE)
        return {one[ROW]: _image(one) for one in found if one[ROW] not in self._hidden["images"]}

    def prompt(self, id: str) -> Prompt:
        for found in self._of(self._names.prompts, ID, [id], _PROMPT):
            if found[ROW] not in self._hidden["prompts"]:
                return self._prompt(found)
        raise UnknownItem(f"there is no prompt with the id {id!r}")

    def image(self, id: str) -> Image:
        for found in self._of(self._names.images, ID, [id], _IMAGE):
            if found[ROW] not in self._hidden["images"]:
                return _image(found)
        raise UnknownItem(f"there is no image with the id {id!r}")

    def rows(self, kind: Kind, ids: Sequence[str]) -> list[int]:
        found = {one[ROW] for one in self._of(self._names.collection(kind), ID, ids, [])}
        return sorted(found - self._hidden[kind])

    def images_of(self, prompts: Sequence[int], limit: int) -> dict[int, list[Image]]:
        images: dict[int, list[Image]] = {prompt: [] for prompt in prompts}
        deepest = limit + max((self._hidden_of.get(prompt, 0) for prompt in images), default=0)
        for found in self._first_of(list(images), deepest):
            image = _image(found)
            assert image.prompt is not None
            if image.row not in self._hidden["images"] and len(images[image.prompt]) < limit:
                images[image.prompt].append(image)
        return images

    def _first_of(self, prompts: Sequence[int], limit: int) -> list[dict[str, Any]]:
        """Images of these prompts by row, at least the first `limit` of each."""
        if not prompts:
            return []
        name = self._names.images
        found = self._connection.query(name, f"{IMAGE_PROMPT} in {literal(list(prompts))}", _IMAGE)
        if len(found) < MOST_FOUND:
            return found
        return [
            one
            for prompt in prompts
            for one in self._connection.query(name, f"{IMAGE_PROMPT} == {prompt}", _IMAGE, limit)
        ]

    def _of(self, name: str, column: str, values: Sequence[Any], output: Sequence[str]) -> list[dict[str, Any]]:
        return list(self._connection.of(name, column, values, output))

    def _prompt(self, found: Mapping[str, Any]) -> Prompt:
        row = found[ROW]
        return Prompt(row, found[ID], found[TEXT], found[IMAGE_COUNT] - self._hidden_of.get(row, 0))


def document(image: Image) -> str:
    """What is told of an image beside its fields: JSON, packed where it would be too long for Milvus otherwise."""
    said = {
        "file": image.file,
        "source": image.source,
        "width": image.width,
        "height": image.height,
        "settings": dict(image.settings),
        "extra": image.extra_json,
    }
    text = json.dumps({name: value for name, value in said.items() if value is not None}, ensure_ascii=False)
    if len(text.encode()) <= _UNPACKED:
        return text
    return base64.b85encode(zlib.compress(text.encode())).decode()


def _image(found: Mapping[str, Any]) -> Image:
    text = found[DOCUMENT]
    said = json.loads(text if text.startswith("{") else zlib.decompress(base64.b85decode(text)))
    prompt = found[IMAGE_PROMPT]
    return Image(
        row=found[ROW],
        id=found[ID],
        prompt=None if prompt < 0 else prompt,
        file=said.get("file"),
        source=said["source"],
        width=said.get("width"),
        height=said.get("height"),
        settings={name: said["settings"][name] for name in SETTINGS if name in said["settings"]},
        extra_json=said.get("extra"),
    )
