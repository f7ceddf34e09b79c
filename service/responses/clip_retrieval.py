"""clip-retrieval's questions and answers: what its client and its page send, and what they read.

Its ids are integers: an image's is its row in the version that is served, a prompt's its row after those of all images,
so that `/metadata` knows which is meant.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_json

from promptsearch.engines.stages import Stage
from promptsearch.errors import UnknownItem
from promptsearch.search.cursor import Cursor
from promptsearch.search.diversity import first_of_components
from promptsearch.search.ranking import MAX_PLACES
from promptsearch.storage.items import Image
from promptsearch.storage.manifest import Kind

from ..catalogue.catalogue import Served
from .item_urls import ItemAddresses
from .schemas import MAX_QUERY

DEFAULT_IMAGES = 40  # clip_client.py: ClipClient
PICTURES = 100  # of one answer that hold their thumbnail; the others have their address alone
FILLED = 1_000  # results that are looked through so that those folded into others are made up for

_Absent = BeforeValidator(lambda value: None if value == "" else value)  # what its page sends for nothing
_NUMBER = r"^-?[0-9]{1,30}$"
_UNUSED = "taken, and without effect here"


def _number(value: Any) -> Any:
    """Refuses what Pydantic would take for a number though nobody means one."""
    if isinstance(value, bool) or (isinstance(value, str) and not re.match(_NUMBER, value)):
        raise ValueError("a whole number is wanted")
    return value


class _OrItsDigits:
    """In the description: a number, or a text of its digits."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": _NUMBER}]}


Id = Annotated[int, BeforeValidator(_number), _OrItsDigits()]
Count = Annotated[int, Field(ge=0, le=MAX_PLACES), BeforeValidator(_number), _OrItsDigits()]


class KnnQuery(BaseModel):
    """One of text, image, image_url and embedding_input; the first that is there counts."""

    text: Annotated[str | None, _Absent] = Field(None, max_length=MAX_QUERY)
    image: Annotated[str | None, _Absent] = Field(None, description="a picture, base64")
    image_url: Annotated[str | None, _Absent] = Field(
        None, description="the address of a picture; only where --image-urls allows it, and of public hosts alone"
    )
    embedding_input: list[float] | None = Field(
        None, description="a vector of the model's dimension and any length", max_length=16_384
    )
    modality: Literal["image", "text"] = Field("image", description="text: find prompts")
    num_images: Count = Field(DEFAULT_IMAGES, description="results that carry their metadata")
    num_result_ids: Count | None = Field(None, description="results; as many as num_images unless said")
    indice_name: Annotated[str | None, _Absent] = Field(None, description="a collection; the first unless said")
    deduplicate: bool | None = Field(
        None, description="of results whose vectors are over 0.94 alike, and what is alike to those, the first alone"
    )
    use_safety_model: Any = Field(None, description=_UNUSED)
    use_violence_detector: Any = Field(None, description=_UNUSED)
    use_mclip: Any = Field(None, description=f"{_UNUSED}: texts are read by the collection's own model")
    aesthetic_score: Any = Field(None, description=_UNUSED)
    aesthetic_weight: Any = Field(None, description=_UNUSED)

    @property
    def kind(self) -> Kind:
        return "images" if self.modality == "image" else "prompts"

    @property
    def wanted(self) -> int:
        """How many results."""
        return self.num_images if self.num_result_ids is None else self.num_result_ids


class MetadataQuery(BaseModel):
    ids: list[Id] = Field(max_length=MAX_PLACES)
    indice_name: Annotated[str | None, _Absent] = None


class Metadata(BaseModel):
    """What is known of an image, or of a prompt and its first image. What is not is left out."""

    url: str | None = Field(
        None, description="of the original, if it is served, of its thumbnail, or where it came from"
    )
    caption: str | None = Field(None, description="the prompt")
    image: str | None = Field(None, description=f"a thumbnail, base64; of the first {PICTURES} in an answer")
    source: str | None = Field(None, description="the file, archive member or link that the image came from")
    item_id: str | None = Field(None, description="the id at /images or /prompts, the same in later versions")


class Neighbour(Metadata):
    id: int
    similarity: float = Field(description="cosine similarity")


class MetadataOfId(BaseModel):
    id: int
    metadata: Metadata


class Config(BaseModel):
    defaultBackend: str  # noqa: N815  its page's names
    defaultIndex: str  # noqa: N815
    urlColumn: str  # noqa: N815


class Records:
    """Answers about one collection. `base` is the address of this service as the client knows it; `named` puts the
    collection into the addresses of pictures, for where more than one is served."""

    def __init__(self, served: Served, base: str, *, named: bool) -> None:
        self._collection = served.collection
        self._base = base
        self._addresses = ItemAddresses(served, named=named)
        self._images: int = served.collection.manifest.counts["images"]

    def neighbours(self, asked: KnnQuery, cursor: Cursor, stage: Stage) -> bytes:
        """The JSON of what stands first in the ranking that the cursor begins."""
        rows, scores = self._ranked(asked, cursor, stage)
        with stage("store"):
            known = self._records(asked.kind, rows[: asked.num_images])
        first = self._images if asked.kind == "prompts" else 0
        results = [
            {**known.get(row, {}), "id": first + row, "similarity": round(score, 6)}
            for row, score in zip(rows, scores, strict=True)
        ]
        return to_json(results)

    def metadata(self, ids: Sequence[int]) -> bytes:
        """The JSON of what is known of each id, but of those that are taken down; raises UnknownItem."""
        most = self._images + self._collection.manifest.counts["prompts"]
        if wrong := [id for id in ids if not 0 <= id < most]:
            raise UnknownItem(
                f"there is no id {wrong[0]}: those of version {self._collection.version} are 0 to {most - 1}"
            )
        images = self._records("images", [id for id in ids if id < self._images])
        prompts = self._records("prompts", [id - self._images for id in ids if id >= self._images])
        known = images | {self._images + row: found for row, found in prompts.items()}
        return to_json([{"id": id, "metadata": known[id]} for id in ids if id in known])

    def _ranked(self, asked: KnnQuery, cursor: Cursor, stage: Stage) -> tuple[list[int], list[float]]:
        depth = asked.wanted
        while True:
            page = self._collection.page(cursor, depth, stage)
            rows, scores = np.asarray(page.rows, dtype=np.int64), np.asarray(page.scores, dtype=np.float64)
            if asked.deduplicate:
                first = first_of_components(self._collection.index(asked.kind).vectors(rows))
                rows, scores = rows[first], scores[first]
            if len(rows) >= asked.wanted or page.next is None or depth >= FILLED:
                return rows[: asked.wanted].tolist(), scores[: asked.wanted].tolist()
            depth = min(4 * depth, FILLED)

    def _records(self, kind: Kind, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
        """What is known of each item, by row; without those that are taken down."""
        items = self._collection.items
        shown = set(rows[:PICTURES])
        if kind == "images":
            images = items.images(rows)
            texts = self._collection.prompts_of(list(images.values()))
            return {
                row: _known(
                    caption=texts[image.prompt].text if image.prompt in texts else None,
                    item_id=image.id,
                    **self._picture(image, shown=row in shown),
                )
                for row, image in images.items()
            }
        prompts = items.prompts(rows)
        of = items.images_of(list(prompts), 1)
        return {
            row: _known(
                caption=prompt.text,
                item_id=prompt.id,
                **(self._picture(of[row][0], shown=row in shown) if of[row] else {}),
            )
            for row, prompt in prompts.items()
        }

    def _picture(self, image: Image, *, shown: bool) -> Mapping[str, str | None]:
        file, thumbnails = self._addresses.file(image), self._collection.thumbnails
        small = thumbnails.get(image.row) if thumbnails is not None and (shown or file is None) else None
        url = None
        if file is not None or small is not None:
            url = f"{self._base}{file or self._addresses.thumbnail(image)}"
        elif image.source.startswith(("http://", "https://")):
            url = image.source
        return {
            "url": url,
            "image": base64.b64encode(small).decode() if small is not None and shown else None,
            "source": image.source,
        }


def _known(**fields: str | None) -> dict[str, Any]:
    # Its page takes a caption that is there for a text, and so stumbles over null.
    return {name: value for name, value in fields.items() if value is not None}
