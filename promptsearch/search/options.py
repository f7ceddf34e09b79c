"""What is asked of a collection, once its texts and pictures are vectors."""

from __future__ import annotations

from collections.abc import Sequence
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
    """How the answer is chosen and ordered. Equal options are equal and have one hash."""

    mode: Mode = "semantic"
    filter: Filter | None = None
    sort: str | None = None  # a field, `-` before it for the greatest first; or SCORE; None: as they were ranked
    min_score: float | None = None  # cosine
    group_by: Literal["prompt"] | None = None  # the best image of each prompt alone
    deduplicate: bool = False  # what looks nearly the same as something better is folded into it
    diversity: float = 0.0  # 0..1: how much what is unlike the results before comes first
    via: Literal["images"] | None = None  # prompts in the order of the images that are found

    def __post_init__(self) -> None:
        """Raises ParameterError for what does not go together, whatever is searched."""
        if self.mode not in MODES:
            raise ParameterError(f"mode is {', '.join(MODES)}, not {self.mode!r}")
        if self.group_by not in (None, "prompt"):
            raise ParameterError(f"group_by is prompt, not {self.group_by!r}")
        if self.via not in (None, "images"):
            raise ParameterError(f"via is images, not {self.via!r}")
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise ParameterError(f"min_score is a cosine, from -1 to 1, not {self.min_score}")
        if not 0 <= self.diversity <= 1:
            raise ParameterError(f"diversity goes from 0 to 1, not {self.diversity}")
        if self.sort is not None and self.diversity:
            raise ParameterError("sort and diversity are two orders: send one of them")

    def check(self, kind: Kind) -> None:
        """Raises ParameterError for what does not apply to a search for `kind`."""
        if kind == "prompts" and self.group_by:
            raise ParameterError("group_by=prompt is for images: prompts are listed once anyway")
        if kind == "images" and self.via:
            raise ParameterError("via=images is for prompts: images are found by themselves anyway")
        if self.via and (self.sort is not None or self.diversity or self.deduplicate):
            raise ParameterError("via=images has an order of its own: send it without sort, diversity and deduplicate")

    def changed(self) -> dict[str, Any]:
        """Those that are not as they are unless said, in JSON's types; `Options.of` reads them."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        return {name: value.json if isinstance(value, Filter) else value for name, value in found.items()}

    @classmethod
    def of(cls, changed: dict[str, Any]) -> Options:
        """Raises ParameterError, TypeError."""
        known = dict(changed)
        if "filter" in known:
            known["filter"] = Filter.read(known["filter"])
        return cls(**known)


@dataclass(frozen=True)
class Search:
    kind: Kind
    vector: NDArray[np.float32] | None  # unit vector [embedding_dim]; None: whatever meets the filter
    options: Options = Options()
    words: str | None = None  # that the prompts must have, in modes keyword and hybrid
    exclude: tuple[int, ...] = ()  # rows that are never answers: what "similar" was asked about

    def __post_init__(self) -> None:
        """Raises ParameterError or EmptyQuery."""
        self.options.check(self.kind)
        if self.options.mode != "semantic" and not (self.words and self.words.strip()):
            raise ParameterError(f"mode={self.options.mode} looks for words: send them as `q`")
        if self.vector is None:
            if self.options.filter is None and self.options.sort is None:
                raise EmptyQuery("nothing is asked: send a text as `q`, a picture as `image`, a filter, or several")
            if self.options.min_score is not None or self.options.diversity or self.options.deduplicate:
                raise ParameterError(
                    "without a text or picture nothing has a score: min_score, diversity and deduplicate do not apply"
                )


def combine(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """The unit vector of a weighted sum of unit vectors; float32 [embedding_dim]. Raises ParameterError."""
    if len(vectors) == 1 and weights[0] > 0:
        return vectors[0]
    total = np.sum(
        [weight * vector.astype(np.float64) for vector, weight in zip(vectors, weights, strict=True)], axis=0
    )
    if np.linalg.norm(total) < 1e-6 * sum(map(abs, weights)) or not np.isfinite(total).all():
        raise ParameterError("the terms cancel each other out: give them other weights")
    return unit(total.astype(np.float32))
