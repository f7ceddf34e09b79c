"""Tune how far Milvus's graph is searched: the fewest candidates that reach the recall, measured as for files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.engines.milvus.connection import Connection
from promptsearch.engines.milvus.schema import ROW
from promptsearch.storage.manifest import FILES, KINDS, IndexInfo, Kind

from ..indexing.tuning import Truth, sample
from .filling import index_type

_STEPS = (200, 400, 800, 1_600, 3_200)  # candidates; the least is what the first page is ranked from
_QUERIES = 256  # of each kind
_EXACT = 64  # candidates of an index that is exact: those beyond the tenth show what is as near
_AT_ONCE = 64  # queries


def tuned(connection: Connection, name: str, folder: Path, kind: Kind, info: IndexInfo | None) -> IndexInfo | None:
    """Return `info` for the index in Milvus: its candidates, and the recall@10 of texts and pictures with them.

    If nothing reaches the target of the index on files, the last step is used.
    """
    if info is None:
        return None
    vectors, target = folder / FILES.vectors(kind), info.recall_target or 0.0
    truths = {
        "images" if other == "images" else "texts": Truth(
            vectors, sample(folder / FILES.vectors(other), own=other == kind).first(_QUERIES)
        )
        for other in KINDS
        if (folder / FILES.vectors(other)).is_file()
    }
    key = index_type(info.vectors)
    searched = replace(info, key=f"Milvus {key}", exact=key == "FLAT", nprobe=None, candidates=None, recall_at_10={})
    for candidates in (_EXACT,) if searched.exact else _STEPS:
        searched = replace(
            searched,
            candidates=None if searched.exact else candidates,
            recall_at_10={queries: _recall(connection, name, truth, candidates) for queries, truth in truths.items()},
        )
        if searched.exact or min(searched.recall_at_10.values()) >= target:
            break
    return searched


def _recall(connection: Connection, name: str, truth: Truth, candidates: int) -> float:
    proposals = [
        _proposed(connection, name, truth.queries.vectors[start : start + _AT_ONCE], candidates)
        for start in range(0, len(truth.queries.vectors), _AT_ONCE)
    ]
    return round(float(truth.share(np.concatenate(proposals), candidates)[:, -1].mean()), 4)


def _proposed(connection: Connection, name: str, queries: NDArray[np.float32], candidates: int) -> NDArray[np.int64]:
    """Return rows, int64 [n, candidates], -1 after the last."""
    vectors = queries.astype(connection.dtype)
    with connection.errors():
        hits = connection.client.search(
            name,
            data=list(vectors),
            limit=candidates,
            output_fields=[ROW],
            search_params={"metric_type": "IP", "params": {"ef": candidates}},
        )
    rows = np.full((len(queries), candidates), -1, dtype=np.int64)
    for number, query_hits in enumerate(hits):
        rows[number, : len(query_hits)] = [hit[ROW] for hit in query_hits]
    return rows
