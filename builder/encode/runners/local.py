"""On this machine: pictures are decoded in processes of their own, ahead of one engine that has all cores or a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from promptsearch.system.cpus import available_cores

from ...sources import Item, Rejected
from ..cache import Cache
from ..decoding import Decoders
from ..engines import Engine
from . import Tally, Told, Vectors
from .batches import encoded


class LocalRunner:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pictures(self, items: Iterable[Item | Rejected], cache: Cache, tally: Tally) -> Iterator[Told]:
        with Decoders(self._engine.preprocessing.spec, cache.path, available_cores()) as decoders:
            yield from encoded(decoders.decode(items), self._engine, cache, tally)

    def texts(self, batches: Iterable[Sequence[str]]) -> Iterator[tuple[Sequence[str], Vectors]]:
        for batch in batches:
            yield batch, self._engine.encode_texts(batch)
