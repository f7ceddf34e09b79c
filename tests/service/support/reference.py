"""What an exact scan of a collection's stored vectors answers."""

from __future__ import annotations

import numpy as np

from promptsearch.search.collection import Collection
from promptsearch.storage.manifest import FILES, Kind
from tests.support.vectors import Vectors, nearest


def stored(collection: Collection, kind: Kind) -> Vectors:
    vectors: Vectors = np.load(collection.folder / FILES.vectors(kind)).astype(np.float32)
    return vectors


def item_ids(collection: Collection, kind: Kind) -> list[str]:
    """The ids of all that have a vector, by row."""
    rows = range(len(stored(collection, kind)))
    if kind == "images":
        images = collection.items.images(rows)
        return [images[row].id for row in rows]
    prompts = collection.items.prompts(rows)
    return [prompts[row].id for row in rows]


def exact(collection: Collection, kind: Kind, query: Vectors) -> tuple[list[str], list[float]]:
    """Ids and cosines, best first."""
    vectors, ids = stored(collection, kind), item_ids(collection, kind)
    rows, scores = nearest(vectors, query, len(vectors))
    return [ids[row] for row in rows], scores
