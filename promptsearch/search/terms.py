"""The terms of a query: texts, pictures, items of the collection and vectors, each with a weight."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promptsearch.errors import ParameterError

NEGATIVE = -0.5  # weight of a negative text: with -1 little of the other terms would remain
MAX_TERMS = 32


@dataclass(frozen=True)
class Term:
    """One of `text`, `picture` (the bytes of a file), `id` (of an image or prompt) and `vector`."""

    text: str | None = None
    picture: bytes | None = None
    id: str | None = None
    vector: tuple[float, ...] | None = None  # of any length except zero
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raise ParameterError."""
        present = [name for name in ("text", "picture", "id", "vector") if getattr(self, name) is not None]
        if len(present) != 1:
            raise ParameterError(
                f"a term must have one of text, image, id and vector, got {' and '.join(present) or 'none of them'}"
            )
        if self.text is not None and not self.text.strip():
            raise ParameterError("a term's text must not be blank")
        if not math.isfinite(self.weight) or not 1e-6 < abs(self.weight) < 1e6:
            raise ParameterError(
                f"a term's weight must be from 0.000001 to 1,000,000, or the negative of that, got {self.weight}"
            )
        if self.vector is not None and not (0 < math.hypot(*self.vector) < math.inf):
            raise ParameterError("a term's vector must have finite numbers, not all of them zero")
