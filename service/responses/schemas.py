"""The shapes of answers and of JSON queries. Fields may be added; none of these changes."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from promptsearch.client.results import DEFAULT_LIMIT
from promptsearch.search.options import Mode
from promptsearch.search.terms import MAX_TERMS

from ..http.problems import Problem

MAX_LIMIT = 200
MAX_QUERY = 10_000  # characters; the model reads about the first 75 words
MAX_BATCH = 64
FILTER = (
    'by fields: {"sampler": "k_lms", "steps": {"gte": 20}}; conditions eq, in, gt, gte, lt, lte, exists, prefix; '
    "and, or, not"
)


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


class _Scored(BaseModel):
    score: float | None = Field(
        description="cosine similarity; null where there was no text or picture to compare with"
    )
    vector: list[float] | None = Field(None, description="with include=vector: of unit length")
    duplicates: int | None = Field(None, description="with deduplicate: how many others are folded into this one")


class ImageResult(Generation, _Scored):
    prompt: PromptReference | None
    more: int | None = Field(None, description="with group_by=prompt: how many others of this prompt there are")


class PromptResult(_Scored):
    id: str
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
    notes: list[str] = Field(description="what should be known of this answer, such as a text that was cut")
    explain: dict[str, float] | None = Field(None, description="with explain=true: milliseconds of each stage")


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


Text = Annotated[str, Field(max_length=MAX_QUERY)]


class JsonTerm(BaseModel):
    """One of text, image, id and vector."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Text | None = None
    image: str | None = Field(None, description="a picture, base64; a data: URL is taken as well")
    id: str | None = Field(None, description="of an image or prompt of the collection, which is then no answer itself")
    vector: list[float] | None = Field(None, description="of the model's dimension and any length", max_length=16_384)
    weight: float = Field(1.0, description="negative: what a result should not be like", allow_inf_nan=False)


class JsonOptions(BaseModel):
    """How the answer is chosen and ordered, and what it holds; the same in a URL, a form and JSON."""

    mode: Mode = Field("semantic", description="keyword: prompts that have all the words of `q`; hybrid: both at once")
    sort: str | None = Field(
        None, description="a field, `-` before it for the greatest first, or score; else as ranked", max_length=200
    )
    min_score: float | None = Field(None, ge=-1, le=1)
    group_by: Literal["prompt"] | None = Field(None, description="the best image of each prompt alone")
    deduplicate: bool = Field(False, description="fold what looks nearly the same as a better result into that")
    diversity: float = Field(0.0, ge=0, le=1, description="prefer what is unlike the results before it")
    via: Literal["images"] | None = Field(None, description="prompts in the order of the images that the query finds")
    include: Literal["vector"] | None = Field(None, description="also give each result's vector")
    explain: bool = Field(False, description="also say how long each stage took")


class JsonQuery(JsonOptions):
    """The body of a POST with content type application/json."""

    model_config = ConfigDict(extra="forbid")

    q: Text | None = None
    negative: Text | None = Field(None, description="what a result should not mean: a term of weight -0.5")
    image: str | None = Field(None, description="a picture, base64; a data: URL is taken as well")
    terms: list[JsonTerm] = Field([], max_length=MAX_TERMS)
    filter: dict[str, Any] | None = Field(None, description=FILTER)
    collection: str | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = None


class BatchQuery(JsonQuery):
    model_config = ConfigDict(extra="forbid", strict=True)

    target: Literal["images", "prompts"]


class Batch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    queries: list[BatchQuery] = Field(min_length=1, max_length=MAX_BATCH)


class BatchResults(BaseModel):
    results: list[ImageResults | PromptResults | Problem] = Field(description="of each query, in their order")


class EmbedQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    texts: list[Text] = Field([], max_length=MAX_BATCH)
    images: list[str] = Field([], max_length=MAX_BATCH, description="pictures, base64")
    collection: str | None = Field(None, description="whose model is to be used")


class Embeddings(BaseModel):
    model: str
    identity: str
    texts: list[list[float]] = Field(description="unit vectors, in the order of the texts")
    images: list[list[float]]
    notes: list[str]


class FieldSummary(BaseModel):
    name: str
    type: str = Field(description="boolean, integer, number, string, time, or prompt (its text)")
    count: int = Field(description="images that have it")
    distinct: int = Field(description="different values")
    least: Any = Field(description="of numbers and times")
    greatest: Any
    values: list[tuple[Any, int]] = Field(description="the most frequent, each with how many images have it")


class FieldList(BaseModel):
    collection: str
    version: str
    fields: list[FieldSummary]


class Health(BaseModel):
    status: str = Field(description="ok")


class Readiness(BaseModel):
    status: str = Field(description="ready; degraded where something cannot be served as it lies on disk")
    problems: dict[str, str] = Field(description="by collection: why it is not served, or not in its newest version")
