"""Runners read, decode and encode a source's items: here, or on a Spark cluster.

`encode/embed.py` decides ids, rows and order, which are the same for every runner.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...sources import Item, Rejected
from ..decoding import Outcome
from ..vector_cache import Cache

Vectors = NDArray[np.float32] | NDArray[np.float16]
DecodedItem = tuple[Item | Rejected, Outcome | None]  # an item, and the outcome of its picture


@dataclass(frozen=True)
class EncodedTexts:
    """Texts with their unit vectors, [len(texts), embedding_dim], and which the model truncated, bool [len(texts)]."""

    texts: Sequence[str]
    vectors: Vectors
    truncated: NDArray[np.bool_]


@dataclass
class EncodeStats:
    """The work that pictures took."""

    encoded: int = 0  # pictures that were not in the cache
    encoding: float = 0.0  # seconds of that, summed over parallel work


class Runner(Protocol):
    """Decode and encode the items of one build."""

    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, stats: EncodeStats) -> Generator[DecodedItem]:
        """Yield each item in order, with the outcome of its picture: None if it has none or brings its vector.

        The vectors of decoded pictures are in `cache` before their items are yielded.
        """
        ...

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[EncodedTexts]:
        """Yield each batch in order with its vectors."""
        ...
