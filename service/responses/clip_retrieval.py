"""clip-retrieval's requests and responses, as its client and its page send and read them.

Its ids are integers. An image's id is its row in the version that is served; a prompt's id is its row plus the number
of images, so that `/metadata` can tell them apart.
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
from .item_urls import ItemUrls
from .response_builder import CachedResponse
from .schemas import MAX_QUERY

DEFAULT_IMAGES = 40  # clip_client.py: ClipClient
MAX_THUMBNAILS = 100  # in one response; further results have only their URL
# Results that are searched to replace those that `deduplicate` leaves out; a ranking of more is deep.
DEEP = 1_000

_Absent = BeforeValidator(lambda value: None if value == "" else value)  # its page sends "" for no value
_NUMBER = r"^-?[0-9]{1,30}$"
_UNUSED = "Accepted and ignored"


def _number(value: Any) -> Any:
    """Return `value`; raises ValueError for what Pydantic would convert although it is not meant as a number."""
    if isinstance(value, bool) or (isinstance(value, str) and not re.match(_NUMBER, value)):
        raise ValueError("a whole number is expected")
    return value


class _NumberOrDigits:
    """Describes a number, or a text of its digits, in the OpenAPI document."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": _NUMBER}]}


Id = Annotated[int, BeforeValidator(_number), _NumberOrDigits()]
Count = Annotated[int, Field(ge=0, le=MAX_PLACES), BeforeValidator(_number), _NumberOrDigits()]


class KnnQuery(BaseModel):
    """A search by text, image, image_url or embedding_input; the first of them that is set is used."""

    text: Annotated[str | None, _Absent] = Field(None, max_length=MAX_QUERY)
    image: Annotated[str | None, _Absent] = Field(None, description="A picture as base64.")
    image_url: Annotated[str | None, _Absent] = Field(
        None, description="URL of a picture on a public host; only if the service allows it with --image-urls."
    )
    embedding_input: list[float] | None = Field(
        None, description="A vector of the model's dimension; it is normalized.", max_length=16_384, fail_fast=True
    )
    modality: Literal["image", "text"] = Field("image", description="text: find prompts.")
    num_images: Count = Field(DEFAULT_IMAGES, description="Number of results with metadata.")
    num_result_ids: Count | None = Field(None, description="Number of results (default: num_images).")
    indice_name: Annotated[str | None, _Absent] = Field(None, description="A collection (default: the first).")
    deduplicate: bool | None = Field(
        None, description="Of each group of results connected by similarities over 0.94, return only the first."
    )
    use_safety_model: Any = Field(None, description=f"{_UNUSED}.")
    use_violence_detector: Any = Field(None, description=f"{_UNUSED}.")
    use_mclip: Any = Field(None, description=f"{_UNUSED}: texts are encoded by the collection's own model.")
    aesthetic_score: Any = Field(None, description=f"{_UNUSED}.")
    aesthetic_weight: Any = Field(None, description=f"{_UNUSED}.")

    @property
    def kind(self) -> Kind:
        """Return what is searched."""
        return "images" if self.modality == "image" else "prompts"

    @property
    def result_count(self) -> int:
        """Return the number of results."""
        return self.num_images if self.num_result_ids is None else self.num_result_ids


class MetadataQuery(BaseModel):
    """Ids whose metadata is requested."""

    ids: list[Id] = Field(fail_fast=True, max_length=MAX_PLACES)
    indice_name: Annotated[str | None, _Absent] = None


class Metadata(BaseModel):
    """The metadata of an image, or of a prompt and its first image; unknown fields are left out."""

    url: str | None = Field(
        None, description="URL of the original if it is served, else of its thumbnail, else of its source."
    )
    caption: str | None = Field(None, description="The prompt.")
    image: str | None = Field(None, description=f"A thumbnail as base64, for the first {MAX_THUMBNAILS} results.")
    source: str | None = Field(None, description="The file, archive member or link that the image came from.")
    item_id: str | None = Field(None, description="The id for /images and /prompts, stable over versions.")


class Neighbour(Metadata):
    """One result."""

    id: int
    similarity: float = Field(description="Cosine similarity.")


class MetadataOfId(BaseModel):
    """The metadata of one id."""

    id: int
    metadata: Metadata


class Config(BaseModel):
    """The settings of clip-retrieval's page."""

    defaultBackend: str  # noqa: N815  its page's names
    defaultIndex: str  # noqa: N815
    urlColumn: str  # noqa: N815


class KnnResponseBuilder:
    """Builds clip-retrieval's responses about one collection.

    `base_url` is the URL of this service as the client knows it. With `named`, the URLs of pictures name the
    collection, for services of several.
    """

    def __init__(self, served: Served, base_url: str, *, named: bool) -> None:
        self._collection = served.collection
        self._base_url = base_url
        self._urls = ItemUrls(served, named=named)
        self._image_count: int = served.collection.manifest.counts["images"]

    def neighbours(self, query: KnnQuery, cursor: Cursor, stage: Stage) -> CachedResponse:
        """Return the first places of the ranking that the cursor begins."""
        rows, scores = self._ranked(query, cursor, stage)
        with stage("store"):
            metadata = self._metadata(query.kind, rows[: query.num_images])
        first_id = self._image_count if query.kind == "prompts" else 0
        results = [
            {**metadata.get(row, {}), "id": first_id + row, "similarity": round(score, 6)}
            for row, score in zip(rows, scores, strict=True)
        ]
        return CachedResponse(to_json(results))

    def metadata(self, ids: Sequence[int]) -> bytes:
        """Return the JSON of each id's metadata, without hidden items; raises UnknownItem."""
        count = self._image_count + self._collection.manifest.counts["prompts"]
        if not all(0 <= id < count for id in ids):
            raise UnknownItem(f"an id is unknown: ids of version {self._collection.version} are 0 to {count - 1}")
        images = self._metadata("images", [id for id in ids if id < self._image_count])
        prompts = self._metadata("prompts", [id - self._image_count for id in ids if id >= self._image_count])
        by_id = images | {self._image_count + row: metadata for row, metadata in prompts.items()}
        return to_json([{"id": id, "metadata": by_id[id]} for id in ids if id in by_id])

    def _ranked(self, query: KnnQuery, cursor: Cursor, stage: Stage) -> tuple[list[int], list[float]]:
        """Return rows and scores; with `deduplicate`, search deeper until enough are left."""
        count = depth = query.result_count
        while True:
            page = self._collection.page(cursor, depth, stage)
            rows, scores = np.asarray(page.rows, dtype=np.int64), np.asarray(page.scores, dtype=np.float64)
            if query.deduplicate:
                first = first_of_components(self._collection.index(query.kind).vectors(rows))
                rows, scores = rows[first], scores[first]
            if len(rows) >= count or page.next is None or depth >= DEEP:
                return rows[:count].tolist(), scores[:count].tolist()
            depth = min(4 * depth, DEEP)

    def _metadata(self, kind: Kind, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Return what is known of each item by row, without hidden items."""
        items = self._collection.items
        with_thumbnail = set(rows[:MAX_THUMBNAILS])
        if kind == "images":
            images = items.images(rows)
            texts = self._collection.prompts_of(list(images.values()))
            return {
                row: _without_none(
                    caption=texts[image.prompt].text if image.prompt in texts else None,
                    item_id=image.id,
                    **self._picture(image, with_thumbnail=row in with_thumbnail),
                )
                for row, image in images.items()
            }
        prompts = items.prompts(rows)
        images_of = items.images_of(list(prompts), 1)
        return {
            row: _without_none(
                caption=prompt.text,
                item_id=prompt.id,
                **(self._picture(images_of[row][0], with_thumbnail=row in with_thumbnail) if images_of[row] else {}),
            )
            for row, prompt in prompts.items()
        }

    def _picture(self, image: Image, *, with_thumbnail: bool) -> Mapping[str, str | None]:
        file, thumbnails = self._urls.file(image), self._collection.thumbnails
        webp = thumbnails.get(image.row) if thumbnails is not None and (with_thumbnail or file is None) else None
        url = None
        if file is not None or webp is not None:
            url = f"{self._base_url}{file or self._urls.thumbnail(image)}"
        elif image.source.startswith(("http://", "https://")):
            url = image.source
        return {
            "url": url,
            "image": base64.b64encode(webp).decode() if webp is not None and with_thumbnail else None,
            "source": image.source,
        }


def _without_none(**fields: str | None) -> dict[str, Any]:
    # clip-retrieval's page fails on a caption that is null.
    return {name: value for name, value in fields.items() if value is not None}
