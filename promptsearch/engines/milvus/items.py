"""Prompts and images of one version in Milvus."""

from __future__ import annotations

import base64
import copy
import json
import zlib
from collections.abc import Mapping, Sequence, Set
from typing import Any

from promptsearch.engines.milvus.connection import Connection, literal
from promptsearch.engines.milvus.schema import DOCUMENT, ID, IMAGE_COUNT, IMAGE_PROMPT, MOST_FOUND, ROW, TEXT
from promptsearch.errors import UnknownItem
from promptsearch.storage.items import SETTINGS, HiddenRows, Image, Prompt
from promptsearch.storage.manifest import Kind, MilvusReference

_IMAGE = (ID, IMAGE_PROMPT, DOCUMENT)
_PROMPT = (ID, TEXT, IMAGE_COUNT)
_UNCOMPRESSED = 2_000  # bytes; ComfyUI's graphs have a hundred thousand


class MilvusItems:
    """Implements `promptsearch.engines.engine.Items` on the Milvus collections of one version."""

    def __init__(self, connection: Connection, names: MilvusReference) -> None:
        self._connection = connection
        self._names = names
        self._hidden = HiddenRows()

    def find_hidden(self, ids: Set[str]) -> HiddenRows:
        """Return the rows of the items with these ids, for `with_hidden`; unknown ids are ignored."""
        entities = self._of(self._names.images, ID, sorted(ids), [IMAGE_PROMPT])
        images = {entity[ROW]: entity[IMAGE_PROMPT] for entity in entities}
        prompts = [entity[ROW] for entity in self._of(self._names.prompts, ID, sorted(ids), [])]
        return HiddenRows.of(images, prompts)

    def with_hidden(self, hidden: HiddenRows) -> MilvusItems:
        """Return the same items, on the same connection, without these rows."""
        items = copy.copy(self)
        items._hidden = hidden
        return items

    def hidden(self, kind: Kind) -> Set[int]:
        """Return the rows of hidden items."""
        return self._hidden.of_kind(kind)

    def prompts(self, rows: Sequence[int]) -> dict[int, Prompt]:
        """Return the prompts of these rows, by row, without hidden ones."""
        entities = self._of(self._names.prompts, ROW, rows, _PROMPT)
        hidden = self._hidden.prompts
        return {entity[ROW]: self._prompt(entity) for entity in entities if entity[ROW] not in hidden}

    def images(self, rows: Sequence[int]) -> dict[int, Image]:
        """Return the images of these rows, by row, without hidden ones."""
        entities = self._of(self._names.images, ROW, rows, _IMAGE)
        return {entity[ROW]: _image(entity) for entity in entities if entity[ROW] not in self._hidden.images}

    def prompt(self, id: str) -> Prompt:
        """Return a prompt by id. Raises UnknownItem."""
        for entity in self._of(self._names.prompts, ID, [id], _PROMPT):
            if entity[ROW] not in self._hidden.prompts:
                return self._prompt(entity)
        raise UnknownItem("there is no prompt with this id")

    def image(self, id: str) -> Image:
        """Return an image by id. Raises UnknownItem."""
        for entity in self._of(self._names.images, ID, [id], _IMAGE):
            if entity[ROW] not in self._hidden.images:
                return _image(entity)
        raise UnknownItem("there is no image with this id")

    def rows(self, kind: Kind, ids: Sequence[str]) -> list[int]:
        """Return the rows of the known ids among these, ascending."""
        rows = {entity[ROW] for entity in self._of(self._names.collection(kind), ID, ids, [])}
        return sorted(rows - self._hidden.of_kind(kind))

    def images_of(self, prompts: Sequence[int], limit: int) -> dict[int, list[Image]]:
        """Return the first images of each prompt, by the prompts' rows."""
        entities = self._first_of([*dict.fromkeys(prompts)], self._hidden.depth(prompts, limit))
        return self._hidden.first_images(map(_image, entities), prompts, limit)

    def _first_of(self, prompts: Sequence[int], limit: int) -> list[dict[str, Any]]:
        """Return images of these prompts by row, at least the first `limit` of each."""
        if not prompts:
            return []
        name = self._names.images
        entities = self._connection.query(name, f"{IMAGE_PROMPT} in {literal(list(prompts))}", _IMAGE)
        if len(entities) < MOST_FOUND:
            return entities
        return [
            entity
            for prompt in prompts
            for entity in self._connection.query(name, f"{IMAGE_PROMPT} == {prompt}", _IMAGE, limit)
        ]

    def _of(self, name: str, column: str, values: Sequence[Any], output: Sequence[str]) -> list[dict[str, Any]]:
        return list(self._connection.of(name, column, values, output))

    def _prompt(self, entity: Mapping[str, Any]) -> Prompt:
        row = entity[ROW]
        return Prompt(row, entity[ID], entity[TEXT], entity[IMAGE_COUNT] - self._hidden.images_of_prompt.get(row, 0))


def document(image: Image) -> str:
    """Return an image's metadata beside its fields as JSON, compressed if it would be too long for Milvus."""
    values = {
        "file": image.file,
        "source": image.source,
        "width": image.width,
        "height": image.height,
        "settings": dict(image.settings),
        "extra": image.extra_json,
    }
    text = json.dumps({name: value for name, value in values.items() if value is not None}, ensure_ascii=False)
    if len(text.encode()) <= _UNCOMPRESSED:
        return text
    return base64.b85encode(zlib.compress(text.encode())).decode()


def _image(entity: Mapping[str, Any]) -> Image:
    text = entity[DOCUMENT]
    values = json.loads(text if text.startswith("{") else zlib.decompress(base64.b85decode(text)))
    prompt = entity[IMAGE_PROMPT]
    return Image(
        row=entity[ROW],
        id=entity[ID],
        prompt=None if prompt < 0 else prompt,
        file=values.get("file"),
        source=values["source"],
        width=values.get("width"),
        height=values.get("height"),
        settings={name: values["settings"][name] for name in SETTINGS if name in values["settings"]},
        extra_json=values.get("extra"),
    )
