"""The shapes of responses. Fields may be added; none of these changes."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from ..http.problems import Problem

MAX_QUERY = 10_000  # characters; the model reads about the first 75 words


class PromptReference(BaseModel):
    """The prompt of an image."""

    id: str
    text: str


class Picture(BaseModel):
    """The picture of an image, and where to get it."""

    width: int | None = Field(description="Pixels.")
    height: int | None
    source: str = Field(description="The file, archive member or link that the picture came from.")
    file: str | None = Field(description="URL of the original on this service; null if it is not served.")
    thumbnail: str | None = Field(description="URL of a WebP of at most 256 pixels a side.")


class Generation(BaseModel):
    """One image and how it was generated."""

    id: str
    image: Picture
    settings: dict[str, Any] = Field(description="Those of seed, steps, cfg_scale, sampler, model, created that exist.")


class _Scored(BaseModel):
    score: float | None = Field(description="Cosine similarity; null if the query has no text, picture or vector.")
    vector: list[float] | None = Field(None, description="With include=vector: a unit vector.")
    duplicates: int | None = Field(None, description="With deduplicate: the number of near-duplicates left out.")


class ImageResult(Generation, _Scored):
    """One image that was found."""

    prompt: PromptReference | None
    more: int | None = Field(None, description="With group_by=prompt: the number of further images of this prompt.")


class PromptResult(_Scored):
    """One prompt that was found."""

    id: str
    text: str
    image_count: int
    images: list[Generation] = Field(description="Up to 4 of its images.")


Result = TypeVar("Result")


class _Page(BaseModel, Generic[Result]):
    collection: str
    version: str
    took_ms: float
    results: list[Result] = Field(description="Best first.")
    next: str | None = Field(description="The `cursor` of the next page; null on the last page.")
    notes: list[str] = Field(description="Warnings about this response, such as a text that was truncated.")
    explain: dict[str, float] | None = Field(None, description="With explain=true: milliseconds of each stage.")


class ImageResults(_Page[ImageResult]):
    """A page of images."""


class PromptResults(_Page[PromptResult]):
    """A page of prompts."""


class ImageItem(Generation):
    """One image, with everything that is known of it."""

    collection: str
    prompt: PromptReference | None
    extra: dict[str, Any] = Field(description="Further metadata of its source.")


class PromptItem(BaseModel):
    """One prompt and its images."""

    id: str
    collection: str
    text: str
    image_count: int
    images: list[Generation] = Field(description="Up to 50 of its images.")


class IndexSummary(BaseModel):
    """A vector index."""

    vectors: int
    key: str = Field(description="FAISS factory key.")
    exact: bool
    recall_at_10: dict[str, float]


class ModelSummary(BaseModel):
    """The model of a collection."""

    name: str
    identity: str
    embedding_dim: int
    precision: str
    fidelity: dict[str, float] = Field(description="Cosine similarity of these encoders to the checkpoint in PyTorch.")


class CollectionSummary(BaseModel):
    """A collection that is served."""

    name: str
    version: str
    created: str
    counts: dict[str, int]
    model: ModelSummary
    images: IndexSummary | None
    prompts: IndexSummary | None


class CollectionList(BaseModel):
    """Every collection of the service."""

    default: str | None
    collections: list[CollectionSummary]
    refused: dict[str, str] = Field(description="Collections that are not served, each with the reason.")
    outdated: dict[str, str] = Field(
        description="Collections served in an older version, each with what is wrong with the newest."
    )


class BatchResults(BaseModel):
    """What each search of a batch found."""

    results: list[ImageResults | PromptResults | Problem] = Field(description="One per query, in the same order.")


class Embeddings(BaseModel):
    """Vectors of texts and pictures."""

    model: str
    identity: str
    texts: list[list[float]] = Field(description="Unit vectors, in the order of the texts.")
    images: list[list[float]]
    notes: list[str]


class FieldSummary(BaseModel):
    """A field that images can be filtered and sorted by."""

    name: str
    type: str = Field(description="boolean, integer, number, string, time, or prompt (its text).")
    count: int = Field(description="Number of images that have the field.")
    distinct: int = Field(description="Number of different values.")
    least: Any = Field(description="Smallest number or time.")
    greatest: Any
    values: list[tuple[Any, int]] = Field(description="The most frequent values, each with its number of images.")


class FieldList(BaseModel):
    """The fields of a collection."""

    collection: str
    version: str
    fields: list[FieldSummary]


class Health(BaseModel):
    """Whether the process is alive."""

    status: str = Field(description="ok")


class Readiness(BaseModel):
    """Whether searches can be answered."""

    status: str = Field(
        description="ready; degraded if a collection is not served in its newest version, or fails; "
        "verifying while the checksums of large versions are computed."
    )
    problems: dict[str, str] = Field(description="By collection: why it, or its newest version, is not served.")
