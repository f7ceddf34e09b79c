"""A connection to Milvus: requests in batches of allowed size, and its errors as ours."""

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

_CREDENTIALS = "MILVUS_TOKEN"  # environment variable: "user:password" or an API key; manifests contain neither
TIMEOUT = 10.0  # seconds, of a request
_COUNTING = 60.0  # seconds, of a count of all entities
_BATCH = 8_000  # values of one `in`


class Connection:
    """Reads from the Milvus at `address`; safe to use from several threads."""

    def __init__(self, address: str) -> None:
        """Connect. Raises NotInstalled, and NotReady if nothing answers."""
        try:
            from pymilvus import MilvusClient
        except ModuleNotFoundError as error:
            raise NotInstalled(
                f"the collection is in Milvus, which needs {error.name}: pip install 'prompt-search[milvus]'"
            ) from None
        # It logs every error with its traceback before raising it.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        logging.getLogger("milvus_lite").setLevel(logging.WARNING)  # it logs its end after log files are closed
        self.address = address
        with self.errors():
            self.client = MilvusClient(uri=address, token=os.environ.get(_CREDENTIALS, ""), timeout=TIMEOUT)
            # Vectors are stored and queried in half precision, which Milvus Lite does not have.
            self.dtype = np.float32 if "lite" in self.client.get_server_version() else np.float16

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise NotReady, with the address, for the errors of Milvus."""
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, ConnectionError, OSError) as error:
            message = getattr(error, "message", None) or str(error)
            raise NotReady(f"Milvus at {self.address} did not answer: {message}") from error

    def query(
        self, collection: str, filter: str, output: Sequence[str], limit: int = MOST_FOUND
    ) -> list[dict[str, Any]]:
        """Return the first entities that meet the filter, by row."""
        with self.errors():
            entities = self.client.query(
                collection, filter=filter, output_fields=[ROW, *output], limit=limit, timeout=TIMEOUT
            )
        return sorted(entities, key=lambda entity: entity[ROW])

    def all(self, collection: str, filter: str, output: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield all entities that meet the filter, by row."""
        after = -1
        while entities := self.query(collection, f"({filter}) and {ROW} > {after}", output):
            yield from entities
            after = entities[-1][ROW]
            if len(entities) < MOST_FOUND:
                return

    def of(
        self, collection: str, column: str, values: Iterable[int | str], output: Sequence[str], also: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Yield all entities whose column has one of these values and that meet the filter `also`."""
        distinct = list(values)
        for start in range(0, len(distinct), _BATCH):
            filter = f"{column} in {literal(distinct[start : start + _BATCH])}"
            yield from self.all(collection, f"{filter} and ({also})" if also else filter, output)

    def count(self, collection: str, filter: str) -> int:
        """Return how many entities meet the filter, of all that were written before."""
        with self.errors():
            [entity] = self.client.query(
                collection,
                filter=filter,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=_COUNTING,
            )
        return int(entity["count(*)"])

    def vectors(self, collection: str, rows: NDArray[np.int64], column: str, dim: int) -> NDArray[np.float32]:
        """Return the vectors of these rows, in their order, float32 [n, dim]."""
        vectors = {
            entity[ROW]: floats(entity[column])
            for entity in self.of(collection, ROW, np.unique(rows).tolist(), [column])
        }
        return np.stack([vectors[row] for row in rows.tolist()]) if len(rows) else np.empty((0, dim), dtype=np.float32)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def floats(vector: Any) -> NDArray[np.float32]:
    """Return a vector as float32 [dim] that Milvus returned as bytes of halves or as a list of numbers."""
    if isinstance(vector, list) and vector and isinstance(vector[0], bytes):
        [vector] = vector
    if isinstance(vector, bytes):
        return to_float32(np.frombuffer(vector, dtype=np.float16))
    return np.asarray(vector, dtype=np.float32)


def literal(value: bool | float | str | Sequence[int | str]) -> str:
    """Return a value or a list of values as written in Milvus's expressions."""
    return json.dumps(value, ensure_ascii=False)
