"""A connection to Milvus, its requests in batches that it takes, and its errors as ours."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.milvus.schema import MOST_FOUND, ROW
from promptsearch.errors import NotInstalled, NotReady
from promptsearch.system.float16 import to_float32

_CREDENTIALS = "MILVUS_TOKEN"  # the environment variable with "user:password" or an API key: no manifest holds those
TIMEOUT = 10.0  # seconds, of a request
_COUNTING = 60.0  # seconds, to count all there is
_BATCH = 8_000  # values of one `in`


class Connection:
    """Read access to the Milvus at `address`; safe to use from any thread."""

    def __init__(self, address: str) -> None:
        """Raises NotInstalled, and NotReady where nothing answers there."""
        try:
            from pymilvus import MilvusClient
        except ModuleNotFoundError as error:
            raise NotInstalled(
                f"Milvus is asked for, and {error.name} is not installed: pip install 'prompt-search[milvus]'"
            ) from None
        # It logs every refusal with its traceback, and then raises it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        logging.getLogger("milvus_lite").setLevel(logging.WARNING)  # it tells of its end when logs are closed already
        self.address = address
        with self.errors():
            self.client = MilvusClient(uri=address, token=os.environ.get(_CREDENTIALS, ""), timeout=TIMEOUT)
            # Vectors are stored and asked for in half precision, but in Milvus Lite, which has none.
            self.dtype = np.float32 if "lite" in self.client.get_server_version() else np.float16

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Milvus's errors as NotReady, which says where."""
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, ConnectionError, OSError) as error:
            said = getattr(error, "message", None) or str(error)
            raise NotReady(f"Milvus at {self.address} did not answer: {said}") from error

    def query(
        self, collection: str, filter: str, output: Sequence[str], limit: int = MOST_FOUND
    ) -> list[dict[str, Any]]:
        """The first entities that meet the filter, by row."""
        with self.errors():
            found = self.client.query(
                collection, filter=filter, output_fields=[ROW, *output], limit=limit, timeout=TIMEOUT
            )
        return sorted(found, key=lambda entity: entity[ROW])

    def all(self, collection: str, filter: str, output: Sequence[str]) -> Iterator[dict[str, Any]]:
        """All entities that meet the filter, by row, however many there are."""
        after = -1
        while found := self.query(collection, f"({filter}) and {ROW} > {after}", output):
            yield from found
            after = found[-1][ROW]
            if len(found) < MOST_FOUND:
                return

    def of(
        self, collection: str, column: str, values: Iterable[int | str], output: Sequence[str], also: str = ""
    ) -> Iterator[dict[str, Any]]:
        """All entities whose column has one of these values, and that meet the filter `also`."""
        every = list(values)
        for start in range(0, len(every), _BATCH):
            filter = f"{column} in {literal(every[start : start + _BATCH])}"
            yield from self.all(collection, f"{filter} and ({also})" if also else filter, output)

    def count(self, collection: str, filter: str) -> int:
        """How many entities meet the filter, of all that were written before."""
        with self.errors():
            found = self.client.query(
                collection,
                filter=filter,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=_COUNTING,
            )
        return int(found[0]["count(*)"])

    def vectors(self, collection: str, rows: NDArray[np.int64], column: str, dim: int) -> NDArray[np.float32]:
        """The vectors of these rows, in their order; float32 [n, dim]."""
        found = {
            entity[ROW]: floats(entity[column])
            for entity in self.of(collection, ROW, np.unique(rows).tolist(), [column])
        }
        return np.stack([found[row] for row in rows.tolist()]) if len(rows) else np.empty((0, dim), dtype=np.float32)

    def close(self) -> None:
        self.client.close()


def floats(vector: Any) -> NDArray[np.float32]:
    """A vector as Milvus gives it (bytes of halves, or a list of numbers), float32 [dim]."""
    if isinstance(vector, list) and vector and isinstance(vector[0], bytes):
        [vector] = vector
    if isinstance(vector, bytes):
        return to_float32(np.frombuffer(vector, dtype=np.float16))
    return np.asarray(vector, dtype=np.float32)


def literal(value: bool | float | str | Sequence[int | str]) -> str:
    """A value, or a list of them, in Milvus's expressions."""
    return json.dumps(value, ensure_ascii=False)
