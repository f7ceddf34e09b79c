"""The shapes of answers and of JSON queries. Fields may be added; none of these changes."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_LIMIT = 20
MAX_LIMIT = 200
MAX_QUERY = 10_000  # characters; the model reads about the first 75 words


class PromptReference(BaseModel):
    id: str
    text: str


class Picture(BaseModel):
    width: int | None = Field(description="pixels")
    height: int | None
    source: str = Field(description="the file, archive member or link that it came from")
    file: str | None = Field(description="where this service gives the original; null where it does not")
    thumbnail: str | None = Field(description="WebP, at most 256 pixels a side")


class Generation(BaseModel):
    id: str
    image: Picture
    settings: dict[str, Any] = Field(
        description="those of seed, steps, cfg_scale, sampler, model, created that are known"
    )


class ImageResult(Generation):
    score: float = Field(description="cosine similarity")
    prompt: PromptReference | None


class PromptResult(BaseModel):
    id: str
    score: float = Field(description="cosine similarity")
    text: str
    image_count: int
    images: list[Generation] = Field(description="a few of them")


Result = TypeVar("Result")


class _Answer(BaseModel, Generic[Result]):
    collection: str
    version: str
    took_ms: float
    results: list[Result] = Field(description="best first")
    next: str | None = Field(description="the `cursor` of the next page; null at the end")


class ImageResults(_Answer[ImageResult]):
    pass


class PromptResults(_Answer[PromptResult]):
    pass


class ImageItem(Generation):
    collection: str
    prompt: PromptReference | None
    extra: dict[str, Any] = Field(description="whatever else the source said")


class PromptItem(BaseModel):
    id: str
    collection: str
    text: str
    image_count: int
    images: list[Generation] = Field(description="the first of them")


class IndexSummary(BaseModel):
    vectors: int
    key: str = Field(description="FAISS factory key")
    exact: bool
    recall_at_10: dict[str, float]


class ModelSummary(BaseModel):
    name: str
    identity: str
    embedding_dim: int
    precision: str
    fidelity: dict[str, float] = Field(description="cosines of these encoders with the checkpoint in PyTorch")


class CollectionSummary(BaseModel):
    name: str
    version: str
    created: str
    counts: dict[str, int]
    model: ModelSummary
    images: IndexSummary | None
    prompts: IndexSummary | None


class CollectionList(BaseModel):
    default: str | None
    collections: list[CollectionSummary]
    refused: dict[str, str] = Field(description="collections that are not served, each with the reason")
    outdated: dict[str, str] = Field(description="those of which an older version is served, with what is wrong now")


class JsonQuery(BaseModel):
    """The body of a POST with content type application/json."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(None, max_length=MAX_QUERY)
    image: str | None = Field(None, description="a picture, base64; a data: URL is taken as well")
    collection: str | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = None


class Health(BaseModel):
    status: str = Field(description="ok")


class Readiness(BaseModel):
    status: str = Field(description="ready; degraded where something cannot be served as it lies on disk")
    problems: dict[str, str] = Field(description="by collection: why it is not served, or not in its newest version")


class Problem(BaseModel):
    """What every error is answered with (RFC 9457), as application/problem+json."""

    type: str = Field(description="stable: `urn:prompt-search:` and the name of what went wrong")
    title: str
    status: int
    detail: str = Field(description="what was wrong, and what would be right")
