"""The shapes of responses and of JSON queries. Fields may be added; none of these changes."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from promptsearch.client.results import DEFAULT_LIMIT
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import Mode, Options, normalize_sort
from promptsearch.search.terms import MAX_TERMS

from ..http.problems import Problem

MAX_LIMIT = 200
MAX_QUERY = 10_000  # characters; the model reads about the first 75 words
MAX_BATCH = 64


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


Text = Annotated[str, Field(max_length=MAX_QUERY)]


class JsonTerm(BaseModel):
    """One of text, image, id and vector."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Text | None = None
    image: str | None = Field(None, description="A picture as base64 or as a data: URL.")
    id: str | None = Field(
        None, description="An image or prompt of the collection; it is excluded from the results of its kind."
    )
    vector: list[float] | None = Field(
        None, description="A vector of the model's dimension; it is normalized.", max_length=16_384, fail_fast=True
    )
    weight: float = Field(1.0, description="Negative: results should be unlike this term.", allow_inf_nan=False)


class SearchOptions(BaseModel):
    """How results are chosen and ordered, and what they contain; the same in a URL, a form and JSON."""

    mode: Mode = Field(
        "semantic", description="keyword: prompts that contain all words of `q`; hybrid: both rankings combined."
    )
    sort: str | None = Field(
        None, description="A field, with `-` before it in descending order, or score (default: the ranking).",
        max_length=200,
    )  # fmt: skip
    min_score: float | None = Field(None, ge=-1, le=1, description="Lowest cosine similarity of a result.")
    group_by: Literal["prompt"] | None = Field(None, description="Return only the best image of each prompt.")
    deduplicate: bool = Field(False, description="Leave out near-duplicates of better results.")
    diversity: float = Field(0.0, ge=0, le=1, description="Prefer results that are unlike the ones before them.")
    via: Literal["images"] | None = Field(None, description="Rank prompts by the images that the query finds.")
    include: Literal["vector"] | None = Field(None, description="Also return each result's vector.")
    explain: bool = Field(False, description="Also return how long each stage took.")

    def options(self, filter: Filter | None) -> Options:
        """Return the library's options with this filter; raises ParameterError."""
        same = {name: getattr(self, name) for name in _SAME_OPTIONS}
        return Options(filter=filter, sort=normalize_sort(self.sort, self.mode), **same)


# The library's options, but for those that have another form over HTTP.
_SAME_OPTIONS = [option.name for option in fields(Options) if option.name not in ("filter", "sort")]


class JsonQuery(SearchOptions):
    """A search: the body of a POST with content type application/json.

    The parameters of a URL and of a form are derived from it, see `service/api/query.py`.
    """

    model_config = ConfigDict(extra="forbid")

    q: Text | None = Field(None, description="What the picture or prompt means.")
    negative: Text | None = Field(None, description="What results should not mean: a term of weight -0.5.")
    image: str | None = Field(None, description="A picture as base64 or as a data: URL.")
    terms: list[JsonTerm] = Field(
        [], description="Texts, pictures, ids and vectors with weights.", max_length=MAX_TERMS
    )
    filter: dict[str, Any] | None = Field(
        None,
        description='Conditions on fields: {"sampler": "k_lms", "steps": {"gte": 20}}; with eq, in, gt, gte, lt, lte, '
        "exists, prefix, and, or, not.",
    )
    collection: str | None = Field(None, description="Required if several are served and none is the default.")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Results per page.")
    cursor: str | None = Field(None, description="`next` of a response, instead of a query.")


class BatchQuery(JsonQuery):
    """A search in a batch."""

    model_config = ConfigDict(extra="forbid", strict=True)

    target: Literal["images", "prompts"]


class Batch(BaseModel):
    """Searches that are run together."""

    model_config = ConfigDict(extra="forbid")

    queries: list[BatchQuery] = Field(min_length=1, max_length=MAX_BATCH)


class BatchResults(BaseModel):
    """What each search of a batch found."""

    results: list[ImageResults | PromptResults | Problem] = Field(description="One per query, in the same order.")


class EmbedQuery(BaseModel):
    """Texts and pictures to encode."""

    model_config = ConfigDict(extra="forbid")

    texts: list[Text] = Field([], max_length=MAX_BATCH)
    images: list[str] = Field([], max_length=MAX_BATCH, description="Pictures as base64.")
    collection: str | None = Field(None, description="The collection whose model encodes.")


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
