"""The options of a search, and the search itself once its texts and pictures are vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.encoders import unit
from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.storage.manifest import Kind

Mode = Literal["semantic", "keyword", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)
SCORE = "score"


@dataclass(frozen=True)
class Options:
    """How results are chosen and ordered. Instances are compared and hashed by value."""

    mode: Mode = "semantic"
    filter: Filter | None = None
    sort: str | None = None  # a field (`-` before it: descending) or SCORE; None: the order of the ranking
    min_score: float | None = None  # cosine
    group_by: Literal["prompt"] | None = None  # return only the best image of each prompt
    deduplicate: bool = False  # leave out results that look nearly the same as a better one
    diversity: float = 0.0  # 0..1: how much results that are unlike those before them are preferred
    via: Literal["images"] | None = None  # rank prompts by their best image

    def __post_init__(self) -> None:
        """Raise ParameterError for options that are invalid or exclude each other, for images and prompts alike."""
        if self.mode not in MODES:
            raise ParameterError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if self.group_by not in (None, "prompt"):
            raise ParameterError(f"group_by must be prompt, got {self.group_by!r}")
        if self.via not in (None, "images"):
            raise ParameterError(f"via must be images, got {self.via!r}")
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise ParameterError(f"min_score must be a cosine, from -1 to 1, got {self.min_score}")
        if not 0 <= self.diversity <= 1:
            raise ParameterError(f"diversity must be from 0 to 1, got {self.diversity}")
        if self.sort is not None and self.diversity:
            raise ParameterError("sort and diversity exclude each other: send one of them")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Options:
        """Return the options among named values as they arrive from Python; other names are ignored.

        `filter` is parsed JSON or a Filter, and `sort` may name the order that the mode has anyway. Raises
        ParameterError.
        """
        chosen = {name: values[name] for name in OPTION_NAMES if values.get(name) is not None}
        if "filter" in chosen and not isinstance(chosen["filter"], Filter):
            chosen["filter"] = Filter.parse(chosen["filter"])
        chosen["sort"] = normalize_sort(chosen.get("sort"), chosen.get("mode", cls.mode))
        return cls(**chosen)

    def check(self, kind: Kind) -> None:
        """Raise ParameterError for options that do not apply to a search for `kind`."""
        if kind == "prompts" and self.group_by:
            raise ParameterError("group_by=prompt applies to images only: each prompt is listed once anyway")
        if kind == "images" and self.via:
            raise ParameterError("via=images applies to prompts only: images are searched directly anyway")
        if self.via and (self.sort is not None or self.diversity or self.deduplicate):
            raise ParameterError("via=images excludes sort, diversity and deduplicate: send it without them")

    def non_defaults(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, in JSON's types, for `from_non_defaults`."""
        values = {name: getattr(self, name) for name in OPTION_NAMES if getattr(self, name) != getattr(Options, name)}
        return {name: value.json if isinstance(value, Filter) else value for name, value in values.items()}

    @classmethod
    def from_non_defaults(cls, values: Mapping[str, Any]) -> Options:
        """Return the options that `non_defaults` wrote. Raises ParameterError and TypeError."""
        parsed = dict(values)
        if "filter" in parsed:
            parsed["filter"] = Filter.read(parsed["filter"])
        return cls(**parsed)


OPTION_NAMES = tuple(field.name for field in fields(Options))


def normalize_sort(sort: str | None, mode: str) -> str | None:
    """Return the field to sort by; None for the order of the ranking, which in mode semantic is by score."""
    if sort in (SCORE, f"-{SCORE}"):  # scores are always sorted best first
        return None if mode == "semantic" else SCORE
    return sort or None


@dataclass(frozen=True)
class Search:
    """A search for images or prompts by one query vector."""

    kind: Kind
    vector: NDArray[np.float32] | None  # unit vector [embedding_dim]; None: list everything that meets the filter
    options: Options = Options()
    words: str | None = None  # in modes keyword and hybrid: words that prompts must have
    exclude: tuple[int, ...] = ()  # rows that are never results: items that are terms of the query

    def __post_init__(self) -> None:
        """Raise ParameterError or EmptyQuery."""
        self.options.check(self.kind)
        if self.options.mode != "semantic" and not (self.words and self.words.strip()):
            raise ParameterError(f"mode={self.options.mode} needs words: send them as `q`")
        if self.vector is None:
            if self.options.filter is None and self.options.sort is None:
                raise EmptyQuery("the query is empty: send a text as `q`, a picture as `image`, a filter, or several")
            if self.options.min_score is not None or self.options.diversity or self.options.deduplicate:
                raise ParameterError(
                    "min_score, diversity and deduplicate need scores: send a text or picture to compare with"
                )


def combine(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """Return the unit vector of a weighted sum of unit vectors, float32 [embedding_dim]. Raises ParameterError."""
    if len(vectors) == 1 and weights[0] > 0:
        return vectors[0]
    total = np.sum(
        [weight * vector.astype(np.float64) for vector, weight in zip(vectors, weights, strict=True)], axis=0
    )
    if np.linalg.norm(total) < 1e-6 * sum(map(abs, weights)) or not np.isfinite(total).all():
        raise ParameterError("the terms cancel each other out: change their weights")
    return unit(total.astype(np.float32))
