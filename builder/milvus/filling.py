"""Write entities into a Milvus collection, in batches; those that are there already stay."""

from __future__ import annotations

from collections.abc import Mapping

from promptsearch.engines.milvus.connection import Connection
from promptsearch.engines.milvus.schema import ROW, VECTOR

from ..progress import Progress
from .entities import Entities

_BATCH = 2_000  # entities of one request: 4 MB of 512 dimensions, which Milvus takes at most 64 of
_EXACT_UP_TO = 50_000  # vectors
_PARAMETERS: Mapping[str, Mapping[str, int]] = {"FLAT": {}, "HNSW": {"M": 32, "efConstruction": 200}}


def index_type(vectors: int) -> str:
    """Return Milvus's name of the index for so many vectors."""
    return "FLAT" if vectors <= _EXACT_UP_TO else "HNSW"


def fill(connection: Connection, name: str, entities: Entities, vectors: int) -> None:
    """Write the missing entities, index them and load the collection."""
    client = connection.client
    with connection.errors():
        if not client.list_indexes(name):
            parameters = client.prepare_index_params()
            kind = index_type(vectors)
            parameters.add_index(VECTOR, index_type=kind, metric_type="IP", params=dict(_PARAMETERS[kind]))
            client.create_index(name, parameters)
        client.load_collection(name)
    with Progress(f"{name} into Milvus", len(entities)) as progress:
        for start in range(0, len(entities), _BATCH):
            stop = min(start + _BATCH, len(entities))
            there = connection.count(name, f"{ROW} >= {start} and {ROW} < {stop}")
            if there < stop - start:
                with connection.errors():
                    # If an interrupted request left some of them, they are overwritten.
                    (client.upsert if there else client.insert)(name, entities.rows(start, stop))
            progress.add(stop - start)
    with connection.errors():
        client.flush(name)
