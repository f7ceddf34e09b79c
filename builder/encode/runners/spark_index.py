"""Add vectors to a trained index on a Spark cluster, with autofaiss's distributed mode.

Each executor adds a range of the vectors to a copy of the trained index; then the copies' inverted lists are
concatenated in the order of the vectors. Exact indices have no such lists and are built on the driver, which also
trains with a sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptsearch.errors import BuildError
from promptsearch.system.faiss_blas import faiss
from promptsearch.system.float16 import to_float32

from ...indexing.autofaiss import add_embeddings_to_index_distributed
from ...indexing.index_file import BLOCK, Vectors
from .cluster import Cluster, message
from .shards import Shards


class SparkAdder:
    """An `Adder` of `indexing/index_file.py` that runs on a Spark cluster."""

    def __init__(self, collection: Path, cluster: Cluster) -> None:
        settings = {
            **cluster.settings,
            "spark.speculation": "false",  # autofaiss writes a part in place, and two attempts would write the same one
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",  # it makes as many parts as there are executors
        }
        self._cluster = replace(cluster, settings=settings)
        self._collection = collection

    def __call__(self, index: faiss.Index, vectors: Path) -> faiss.Index:
        """Add the vectors of a `.npy`, float16 [count, dim], with row numbers as ids. Raises BuildError."""
        shards = self._cluster.shards_of(self._collection, "index")
        with self._cluster.application(f"index of {self._collection.name}") as context:
            from pyspark.sql import SparkSession

            SparkSession(context)  # autofaiss looks for one
            context.parallelize([0], 1).count()  # waits for the executors
            shards.put_file(vectors.name, vectors)
            try:
                added, _ = add_embeddings_to_index_distributed(
                    index,
                    SharedBlocks(shards, vectors.name),
                    memory_available_for_adding="1T",  # the blocks bound what is read at once
                    nb_cores=int(context.getConf().get("spark.task.cpus", "1") or 1),
                    temporary_indices_folder=f"{shards.url}/parts",
                    index_optimizer=lambda index, suffix: {},  # noqa: ARG005 - autofaiss calls it in any case
                )
            except Exception as error:  # of Java, autofaiss or FAISS
                raise BuildError(f"Spark gave up on the index of {vectors.name}: {message(error)}") from error
        shards.clear()
        return added


@dataclass(frozen=True)
class SharedBlocks:
    """An embedding reader for autofaiss of a `.npy` that all workers reach: float32 [rows, dim] with ids."""

    shards: Shards
    name: str

    @property
    def count(self) -> int:
        """Return the number of vectors."""
        return self._header[0]

    @property
    def dimension(self) -> int:
        """Return the dimensions of a vector."""
        return self._header[1]

    def __call__(self, batch_size: int, start: int = 0, end: int | None = None) -> Iterator[tuple[Vectors, Any]]:
        """Yield vectors and ids of the rows from `start` to `end`, in batches that may be shorter than `batch_size`."""
        del batch_size
        count, dim, offset = self._header
        rows = max(1, BLOCK // (4 * dim))
        with self.shards.open(self.name) as file:
            for first in range(start, count if end is None else end, rows):
                last = min(first + rows, count if end is None else end)
                file.seek(offset + 2 * dim * first)
                halves = np.frombuffer(file.read(2 * dim * (last - first)), "<f2").reshape(-1, dim)
                yield to_float32(halves), pd.DataFrame({"i": np.arange(first, last)})

    @cached_property
    def _header(self) -> tuple[int, int, int]:
        """Return the rows, the dimensions, and the offset of the first row in bytes."""
        with self.shards.open(self.name) as file:
            np.lib.format.read_magic(file)
            (count, dim), _, _ = np.lib.format.read_array_header_1_0(file)
            return count, dim, file.tell()
