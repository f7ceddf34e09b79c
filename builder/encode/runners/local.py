"""The runner on this machine: processes decode pictures ahead of one engine, which has all cores or a GPU."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence

from promptsearch.system.cpus import available_cores

from ...sources import Item, Rejected
from ..decoding import Decoders
from ..engines import Engine
from ..vector_cache import Cache
from . import DecodedItem, EncodedTexts, EncodeStats
from .batches import encoded


class LocalRunner:
    """Decode and encode on this machine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, stats: EncodeStats) -> Generator[DecodedItem]:
        """Yield each item in order, with the outcome of its picture."""
        with Decoders(self._engine.preprocessing.spec, cache.path, available_cores()) as decoders:
            yield from encoded(decoders.decode(items), self._engine, cache, stats)

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[EncodedTexts]:
        """Yield each batch with its vectors, float32."""
        for batch in batches:
            yield EncodedTexts(batch, *self._engine.encode_and_check(batch))
