"""The folder, on a file system or in an object store, through which a cluster's workers hand over their results.

A build writes the input of each task (`.work`), and workers its result (see `shard`), both under the digest of the
input. Files appear whole or not at all. A task that runs twice (a lost executor, a speculative duplicate) writes the
same bytes under the same name.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

import fsspec
from fsspec.implementations.local import LocalFileSystem

from promptsearch.errors import BuildError
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
            system, path = fsspec.url_to_fs(url, use_listings_cache=False)
            shards = cls(f"{system.unstrip_protocol(path).rstrip('/')}/{folder}")
            shards.put("probe", b"")
            shards._system.rm_file(shards._path("probe"))
        except ImportError as error:
            raise BuildError(f"--shards {url} needs a package: install prompt-search[stores] ({error})") from error
        except Exception as error:  # each store has exceptions of its own, without a common base
            raise BuildError(f"--shards {url} cannot be written: {error}") from error
        return shards

    def put(self, name: str, content: bytes) -> None:
        """Write a file; readers see it whole or not at all."""
        path = self._path(name)
        # On a file system, unlike in a store, an unfinished file would be visible.
        if isinstance(self._system, LocalFileSystem):
            attempt = f"{path}.{uuid.uuid4().hex}"
            self._system.makedirs(self._system._parent(path), exist_ok=True)
            self._system.pipe_file(attempt, content)
            self._system.mv(attempt, path)
        else:
            self._system.pipe_file(path, content)

    def get(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is no such file."""
        try:
            content: bytes = self._system.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def put_file(self, name: str, file: Path) -> None:
        """Copy a file here, which readers may see before it is complete."""
        self._system.makedirs(self._path(""), exist_ok=True)
        self._system.put_file(str(file), self._path(name))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        opened: IO[bytes] = self._system.open(self._path(name), "rb")
        return opened

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return bool(self._system.exists(self._path(name)))

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
            paths = self._system.ls(self._path(""), detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rpartition("/")[2] for path in paths)

    def clear(self) -> None:
        """Delete the folder."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm(self._path(""), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._system._strip_protocol(self.url)}/{name}".rstrip("/")

    @cached_property
    def _system(self) -> Any:
        return fsspec.url_to_fs(self.url, use_listings_cache=False)[0]

    def __reduce__(self) -> tuple[type[Shards], tuple[str]]:
        return Shards, (self.url,)
