"""The shapes of queries in JSON. Fields may be added; none of these changes.

Descriptions, bounds and defaults are declared in the library: see `promptsearch.search.query.PARAMETERS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from promptsearch.filtering.filters import Filter
from promptsearch.search.options import OPTION_NAMES, Options, normalize_sort
from promptsearch.search.parameters import DEFAULT_LIMIT
from promptsearch.search.query import PARAMETERS
from promptsearch.search.terms import MAX_TERMS

from ..responses.schemas import MAX_QUERY

MAX_LIMIT = 200
MAX_BATCH = 64
_LONGEST_SORT = 200  # characters

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


def _meaning(name: str) -> str:
    return PARAMETERS[name].meaning.description


def _option(name: str) -> tuple[Any, Any]:
    """Return the type and the field of an option that is the same in Python and over HTTP."""
    option = PARAMETERS[name]
    least, greatest = option.meaning.least, option.meaning.greatest
    longest = _LONGEST_SORT if name == "sort" else None
    return option.type, Field(option.default, ge=least, le=greatest, max_length=longest, description=_meaning(name))


_SAME_OPTIONS = [name for name in OPTION_NAMES if name != "filter"]  # which is JSON over HTTP

if TYPE_CHECKING:
    _Options = BaseModel
else:
    _Options = create_model("_Options", **{name: _option(name) for name in _SAME_OPTIONS})


class SearchOptions(_Options):
    """How results are chosen and ordered, and what they contain; the same in a URL, a form and JSON."""

    include: Literal["vector"] | None = Field(None, description=_meaning("include"))
    explain: bool = Field(False, description=_meaning("explain"))

    def options(self, filter: Filter | None) -> Options:
        """Return the library's options with this filter; raises ParameterError."""
        values = {name: getattr(self, name) for name in _SAME_OPTIONS}
        return Options(filter=filter, **values | {"sort": normalize_sort(values["sort"], values["mode"])})


class JsonQuery(SearchOptions):
    """A search: the body of a POST with content type application/json.

    The parameters of a URL and of a form are derived from it, see `service/api/query.py`.
    """

    model_config = ConfigDict(extra="forbid")

    q: Text | None = Field(None, description=_meaning("q"))
    negative: Text | None = Field(None, description=_meaning("negative"))
    image: str | None = Field(None, description=f"{_meaning('image')} Base64, or a data: URL.")
    terms: list[JsonTerm] = Field([], description=_meaning("terms"), max_length=MAX_TERMS)
    filter: dict[str, Any] | None = Field(None, description=_meaning("filter"))
    collection: str | None = Field(None, description=_meaning("collection"))
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description=_meaning("limit"))
    cursor: str | None = Field(None, description=_meaning("cursor"))


class BatchQuery(JsonQuery):
    """A search in a batch."""

    model_config = ConfigDict(extra="forbid", strict=True)

    target: Literal["images", "prompts"]


class Batch(BaseModel):
    """Searches that are run together."""

    model_config = ConfigDict(extra="forbid")

    queries: list[BatchQuery] = Field(min_length=1, max_length=MAX_BATCH)


class EmbedQuery(BaseModel):
    """Texts and pictures to encode."""

    model_config = ConfigDict(extra="forbid")

    texts: list[Text] = Field([], max_length=MAX_BATCH)
    images: list[str] = Field([], max_length=MAX_BATCH, description="Pictures as base64.")
    collection: str | None = Field(None, description="The collection whose model encodes.")
