"""What reads, decodes and encodes a source's items: one file a runner, behind one small protocol.

`builder.embed` decides ids, rows and order, and is the same whatever runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...sources import Item, Rejected
from ..cache import Cache
from ..decoding import Outcome

Vectors = NDArray[np.float32] | NDArray[np.float16]
Told = tuple[Item | Rejected, Outcome | None]  # an item, and what became of its picture


@dataclass
class Tally:
    """What was done for pictures."""

    encoded: int = 0  # pictures that were not known before
    encoding: float = 0.0  # seconds that took, summed over whatever ran at once


class Runner(Protocol):
    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, tally: Tally) -> Iterator[Told]:
        """Each item in its order, with what became of its picture (None: it has none, or it brings its vector).

        What was decoded has its vector in `cache` by the time it comes.
        """
        ...

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        """Each batch in its order, with its unit vectors, float32 or float16 [len(batch), embedding_dim]."""
        ...
