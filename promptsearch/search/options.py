"""The options of a search, and the search itself once its texts and pictures are vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from promptsearch.encoding.encoders import unit
from promptsearch.errors import EmptyQuery, ParameterError
from promptsearch.filtering.filters import Filter
from promptsearch.search.parameters import Meaning, declared_by
from promptsearch.storage.manifest import Kind

Mode = Literal["semantic", "keyword", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)
SCORE = "score"


@dataclass(frozen=True)
class Options:
    """How results are chosen and ordered. Instances are compared and hashed by value."""

    mode: Annotated[
        Mode, Meaning("How to rank. keyword: prompts that contain all words of `q`; hybrid: both rankings combined.")
    ] = "semantic"
    filter: Annotated[
        Filter | None,
        Meaning(
            'Conditions on fields: {"sampler": "k_lms", "steps": {"gte": 20}}; with eq, in, gt, gte, lt, lte, exists, '
            "prefix, and, or, not."
        ),
    ] = None
    sort: Annotated[
        str | None, Meaning("A field, with `-` before it in descending order, or score (default: the ranking).")
    ] = None
    min_score: Annotated[float | None, Meaning("Lowest cosine similarity of a result.", least=-1, greatest=1)] = None
    group_by: Annotated[Literal["prompt"] | None, Meaning("Return only the best image of each prompt.")] = None
    deduplicate: Annotated[bool, Meaning("Leave out near-duplicates of better results.")] = False
    diversity: Annotated[float, Meaning("Prefer results that are unlike those before them.", least=0, greatest=1)] = 0.0
    via: Annotated[Literal["images"] | None, Meaning("Rank prompts by the images that the query finds.")] = None

    def __post_init__(self) -> None:
        """Raise ParameterError for options that are invalid or exclude each other, for images and prompts alike."""
        for parameter in OPTIONS.values():
            parameter.check(getattr(self, parameter.name))
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


OPTIONS = declared_by(Options)
OPTION_NAMES = tuple(OPTIONS)

# The message of EmptyQuery. `sort=score` alone is empty, too: there is nothing to compare with.
NO_TERMS = "the query is empty: send `q`, `image`, `terms`, `filter` or a field as `sort`"


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
                raise EmptyQuery(NO_TERMS)
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
