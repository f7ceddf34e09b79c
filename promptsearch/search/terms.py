"""What a query is made of: texts, pictures, items of the collection and vectors, each with a weight."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promptsearch.errors import ParameterError

NEGATIVE = -0.5  # weight of what a result should not mean: against its whole weight, little of the rest would be left
MAX_TERMS = 32


@dataclass(frozen=True)
class Term:
    """One of `text`, `picture` (the bytes of its file), `id` (of an image or prompt) and `vector`."""

    text: str | None = None
    picture: bytes | None = None
    id: str | None = None
    vector: tuple[float, ...] | None = None  # of any length but zero
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Raises ParameterError."""
        given = [name for name in ("text", "picture", "id", "vector") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ParameterError(f"a term is one of text, image, id and vector, not {' and '.join(given) or 'nothing'}")
        if self.text is not None and not self.text.strip():
            raise ParameterError("a term's text is blank: say what is meant")
        if not math.isfinite(self.weight) or not 1e-6 < abs(self.weight) < 1e6:
            raise ParameterError(
                f"a term's weight is a number from 0.000001 to 1,000,000, or as far below 0: not {self.weight}"
            )
        if self.vector is not None and not (0 < math.hypot(*self.vector) < math.inf):
            raise ParameterError("a term's vector has finite numbers, not all of them zero")
