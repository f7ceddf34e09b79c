"""The folder, on a file system or in an object store, through which a cluster's workers hand over their results.

A build writes the input of each task (`.work`), and workers its result (see `shard`), both under the digest of the
input. Files appear whole or not at all. A task that runs twice (a lost executor, a speculative duplicate) writes the
same bytes under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Self

from promptsearch.errors import BuildError, NotInstalled, StoreError
from promptsearch.remote.store import Store
from promptsearch.storage.digests import digest_of

WORK = ".work"


@dataclass(frozen=True)
class Shards:
    """A folder by its URL. Picklable: each process connects for itself."""

    url: str  # absolute, with its protocol

    @classmethod
    def at(cls, url: str, folder: str) -> Self:
        """Return `folder` below a URL or path, after a test write. Raises BuildError if it is not writable."""
        try:
            shards = cls(f"{Store(url).absolute_url.rstrip('/')}/{folder}")
            shards.put("probe", b"")
            shards._store.delete("probe")
        except NotInstalled as error:
            raise BuildError(f"--shards {url} needs a package: install prompt-search[stores] ({error})") from error
        except (StoreError, OSError) as error:
            raise BuildError(f"--shards {url} cannot be written: {error}") from error
        return shards

    def put(self, name: str, content: bytes) -> None:
        """Write a file; readers see it whole or not at all."""
        self._store.write(name, content)

    def get(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is no such file."""
        try:
            return self._store.read(name)
        except FileNotFoundError:
            return None

    def put_file(self, name: str, file: Path) -> None:
        """Copy a file here, which readers may see before it is complete."""
        self._store.upload(file, name)

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return self._store.open(name)

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return self._store.exists(name)

    def put_work(self, content: bytes) -> str:
        """Write the input of a task; return its key."""
        key = digest_of(content).hex()
        self.put(key + WORK, content)
        return key

    def work(self, key: str) -> bytes:
        """Return the input of a task. Raises BuildError if it is missing or altered."""
        content = self.get(key + WORK)
        if content is None or digest_of(content).hex() != key:
            raise BuildError(f"{self.url}/{key}{WORK} is missing or altered: give each build its own --shards")
        return content

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        try:
            return sorted(self._store.entries())
        except FileNotFoundError:
            return []

    def clear(self) -> None:
        """Delete the folder."""
        self._store.delete()

    @cached_property
    def _store(self) -> Store:
        return Store(self.url)

    def __reduce__(self) -> tuple[type[Shards], tuple[str]]:
        return Shards, (self.url,)
