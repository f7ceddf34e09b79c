"""Delete from the cache what no version of any collection uses any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promptsearch.encoding.prompt_text import CHOICES, text_to_embed
from promptsearch.errors import BuildError
from promptsearch.storage.digests import digest_of
from promptsearch.storage.manifest import FILES, Manifest

from ..versions.lock import locked
from ..versions.staging import staging_folder
from ..versions.versions import cache_folder, file_memory, versions

_BATCH = 10_000  # digests


@dataclass(frozen=True)
class Freed:
    """A file of the cache, and the bytes that it had before and has now."""

    file: Path
    before: int
    after: int


def collect_garbage(indices: Path) -> list[Freed]:
    """Keep of the cache what the versions of all collections in `indices` use; return what became of each file.

    Raises BuildError while a build runs, or if one was interrupted, whose encodings would be lost.
    """
    folders = [path for path in sorted(indices.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    memory = file_memory(indices)
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(locked(folder))
            if staging_folder(folder).exists():
                raise BuildError(
                    f"a build of {folder.name} was interrupted: run it again to its end, or delete "
                    f"{staging_folder(folder)} to lose what it has encoded"
                )
        used = [(Manifest.read(version).model.identity[:16], version) for f in folders for version in versions(f)]
        freed = []
        for path in sorted(cache_folder(indices).glob("*.sqlite")):
            kept = [version for identity, version in used if path == memory or identity == path.stem]
            freed.append(_collect(path, kept, ("files",) if path == memory else ("pictures", "texts")))
        return freed


def _collect(path: Path, kept: Iterable[Path], tables: Iterable[str]) -> Freed:
    before = path.stat().st_size
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TEMP TABLE used (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        for version in kept:
            for digests in (_pictures(version), _texts(version)):
                database.executemany("INSERT OR IGNORE INTO used VALUES (?)", ((digest,) for digest in digests))
        for table in tables:
            database.execute(f"DELETE FROM {table} WHERE digest NOT IN (SELECT digest FROM used)")
        database.commit()
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Freed(path, before, path.stat().st_size)


def _pictures(version: Path) -> Iterator[bytes]:
    path = version / FILES.digests
    if path.is_file():
        digests = np.load(path, mmap_mode="r")
        for start in range(0, len(digests), _BATCH):
            yield from (row.tobytes() for row in digests[start : start + _BATCH])


def _texts(version: Path) -> Iterator[bytes]:
    """Yield the digests of what may have been embedded of the version's prompts."""
    if not (version / FILES.items).is_file():  # Milvus has them
        return
    with closing(
        sqlite3.connect(f"{(version / FILES.items).absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    ) as items:
        for (text,) in items.execute("SELECT text FROM prompts"):
            yield from {digest_of(text_to_embed(text, rule).encode()) for rule in CHOICES}
