"""Verify a published version: its checksums, counts and ids, and that vectors find themselves."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.engines.milvus.engine import MilvusEngine, MilvusIndex
from promptsearch.errors import CollectionError
from promptsearch.storage.hidden import read_hidden
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import FILES, KINDS, Kind, Manifest, current_version

SAMPLE = 1000  # vectors of each kind that are looked at
SEARCHES = 100  # of them, how many are searched for
_FOUND = 0.9  # the share that must find itself; a compressed index misses one now and then, a wrong one all
_ID = "[0-9a-f]" * 20
_NAMES = (FILES.index, FILES.vectors)


def verify(collection: Path) -> Manifest:
    """Check the current version; return its manifest. Raises CollectionError with all problems."""
    folder = current_version(collection)
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    problems = [*_names(folder, manifest), *_databases(folder)]
    if manifest.milvus is None:
        problems += _items(folder, manifest)
        for kind in KINDS:
            problems += _vectors(manifest, kind, partial(_on_files, folder, manifest, kind))
    else:
        with contextlib.closing(MilvusEngine(folder, manifest, manifest.milvus)) as engine:
            for kind in KINDS:
                problems += _vectors(manifest, kind, partial(engine.indices.__getitem__, kind))
    read_hidden(collection)
    if problems:
        raise CollectionError(f"{folder} is not whole: {'; '.join(problems)}: build the collection again")
    return manifest


def _names(folder: Path, manifest: Manifest) -> Iterator[str]:
    if folder.name != manifest.version:
        yield f"its manifest is that of version {manifest.version}"
    for path in folder.iterdir():
        if path.name not in (*manifest.files, FILES.manifest):
            yield f"{path.name} is not in the manifest"
    on_files = (
        FILES.items,
        FILES.fields,
        FILES.words,
        *(name(kind) for kind in KINDS if manifest.index(kind) for name in _NAMES),
    )
    for name in on_files if manifest.milvus is None else (FILES.field_list,):
        if name not in manifest.files:
            yield f"{name} is missing in the manifest"


def _databases(folder: Path) -> Iterator[str]:
    for name in (FILES.items, FILES.fields, FILES.words, FILES.thumbnails, FILES.raw):
        if (folder / name).is_file():
            with _opened(folder / name) as database:
                for (message,) in database.execute("PRAGMA integrity_check"):
                    if message != "ok":
                        yield f"{name}: {message}"
                for table, row, *_ in database.execute("PRAGMA foreign_key_check"):
                    yield f"{name}: row {row} of {table} refers to a row that is not there"


def _items(folder: Path, manifest: Manifest) -> Iterator[str]:
    with _opened(folder / FILES.items) as database:
        for kind in KINDS:
            count, first, last = database.execute(f"SELECT count(*), min(row), max(row) FROM {kind}").fetchone()
            if count != manifest.counts[kind]:
                yield f"{FILES.items} has {count} {kind}, expected {manifest.counts[kind]} as in the manifest"
            if count and (first, last) != (0, count - 1):
                yield f"rows of {kind} go from {first} to {last}, there are {count}"
            (wrong,) = database.execute(f"SELECT count(*) FROM {kind} WHERE id NOT GLOB ?", (_ID,)).fetchone()
            if wrong:
                yield f"{wrong} ids of {kind} are not 20 hex digits"
        wrong = sum(
            id != item_id("prompt", text) for id, text in database.execute("SELECT id, text FROM prompts ORDER BY row")
        )
        if wrong:
            yield f"{wrong} ids of prompts are not those of their texts"
        (wrong,) = database.execute(
            "SELECT count(*) FROM prompts LEFT JOIN "
            "(SELECT prompt, count(*) AS counted FROM images GROUP BY prompt) ON prompt = prompts.row "
            "WHERE image_count != ifnull(counted, 0)"
        ).fetchone()
        if wrong:
            yield f"{wrong} prompts count other images than they have"


def _on_files(folder: Path, manifest: Manifest, kind: Kind) -> VectorIndex:
    info = manifest.index(kind)
    assert info is not None
    return VectorIndex.open(folder, kind, info, manifest.model.embedding_dim)


def _vectors(manifest: Manifest, kind: Kind, opened: Callable[[], VectorIndex | MilvusIndex]) -> Iterator[str]:
    info = manifest.index(kind)
    expected = manifest.counts["image_vectors" if kind == "images" else "prompts"]
    if info is None:
        if expected:
            yield f"there is no index of the {expected} {kind}"
        return
    if info.vectors != expected:
        yield f"the index of {kind} has {info.vectors} vectors, expected {expected}"
    try:
        index = opened()
    except CollectionError as error:
        yield str(error)
        return
    rows = np.sort(np.random.default_rng().permutation(len(index))[:SAMPLE])
    sample = index.vectors(rows)
    lengths = np.linalg.norm(sample, axis=1)
    if wrong := int((~(np.abs(lengths - 1) < 0.01)).sum()):  # so written that NaN is wrong
        yield f"{wrong} of {len(rows)} vectors of {kind} in a sample are not finite and of unit length"
        return
    chosen = np.random.default_rng().permutation(len(rows))[:SEARCHES]
    hits = 0
    for own, vector in zip(rows[chosen], sample[chosen], strict=True):
        nearest, scores = index.search(vector, 10)
        hits += bool(own in nearest or (len(scores) and scores[-1] >= vector @ vector - 1e-6))  # or as good results
    if hits < _FOUND * len(chosen):
        yield f"only {hits} of {len(chosen)} {kind} were found by their own vectors"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        with contextlib.closing(database):
            yield database
    except sqlite3.Error as error:
        raise CollectionError(f"{path} cannot be read: {error}") from error
