"""Keep the training and tuning of the served version's index while few vectors have changed.

They take most of the time of building an index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from promptsearch.errors import CollectionError, UnknownCollection
from promptsearch.storage.manifest import FILES, KINDS, IndexInfo, Kind, Manifest, current_version
from promptsearch.system.faiss_blas import faiss

from .index_file import Adder

MOST_CHANGED = 0.1  # of the number of vectors that an index was trained and tuned with


@dataclass(frozen=True)
class Trained:
    """The served version's index of one kind, and the number of vectors that it was trained and tuned with."""

    path: Path
    info: IndexInfo
    vectors: int

    def suits(self, count: int, keys: Collection[str]) -> bool:
        """Return whether it may be used for `count` vectors, which would be given an index of one of these keys."""
        return self.info.key in keys and abs(count - self.vectors) <= MOST_CHANGED * self.vectors

    def fill(self, vectors: Path, path: Path, add: Adder) -> IndexInfo:
        """Write the same index of other vectors, a `.npy` of float16 [count, dim], to `path`; return how to search it.

        Its recall is that of the vectors that it was tuned with.
        """
        index = faiss.read_index(str(self.path))
        index.reset()
        faiss.write_index(add(index, vectors), str(path))
        return replace(self.info, vectors=len(np.load(vectors, mmap_mode="r")))


def trained_before(collection: Path, staged: Manifest, bounds: Mapping[str, Any]) -> Mapping[Kind, Trained]:
    """Return the served version's indices, except exact ones, if their model and bounds are those of what is staged."""
    try:
        folder = current_version(collection)
        served = Manifest.read(folder)
    except (UnknownCollection, CollectionError):
        return {}
    alike = served.milvus is None and served.model == staged.model and served.build.get("index") == bounds
    counts = served.build.get("trained", {})
    return {
        kind: Trained(folder / FILES.index(kind), info, counts.get(kind, info.vectors))
        for kind in KINDS
        if alike and (info := served.index(kind)) is not None and not info.exact
    }
