"""The answers of an exact scan of a collection's stored vectors."""

from __future__ import annotations

import numpy as np

from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import FILES, Kind
from tests.support.vectors import Vectors, nearest


def stored(collection: Collection, kind: Kind) -> Vectors:
    """Return all stored vectors, float32 [n, embedding_dim], by row."""
    vectors: Vectors = np.load(collection.folder / FILES.vectors(kind)).astype(np.float32)
    return vectors


def item_ids(collection: Collection, kind: Kind) -> list[str]:
    """Return the ids of all items with a vector, by row."""
    rows = range(len(stored(collection, kind)))
    if kind == "images":
        images = collection.items.images(rows)
        return [images[row].id for row in rows]
    prompts = collection.items.prompts(rows)
    return [prompts[row].id for row in rows]


def exact(collection: Collection, kind: Kind, query: Vectors) -> tuple[list[str], list[float]]:
    """Return ids and cosines of all items, best first."""
    vectors, ids = stored(collection, kind), item_ids(collection, kind)
    rows, scores = nearest(vectors, query, len(vectors))
    return [ids[row] for row in rows], scores
