"""Object stores, `s3://…` or any URL that fsspec supports, with collections and models in the layout of a disk.

fsspec belongs to the extra `stores`, and is imported when the first store is opened. It reads credentials and endpoints
from the environment, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from promptsearch.errors import NotInstalled, StoreError, one_line

_SHA256 = "sha256"  # user metadata, in which `upload` records the SHA-256
_FINGERPRINT = ("ETag", "LastModified", "mtime", "ino", "size")  # attributes that change with an object


def is_url(place: object) -> bool:
    """Return whether a place is the URL of a store and not a path."""
    return "://" in str(place)


@dataclass(frozen=True)
class Entry:
    """An object, or a folder of objects, directly below a key.

    `fingerprint` changes with an object's content; `modified`: seconds since 1970. Both are None for a folder.
    """

    fingerprint: object | None
    modified: float | None


class Store:
    """The objects below one URL. Keys are relative to it. Safe to use from several threads.

    Methods raise StoreError if the store cannot be reached or denies access, and FileNotFoundError for a missing
    object.
    """

    def __init__(self, url: str) -> None:
        """Open a store. Raises NotInstalled, which names the extra, and StoreError for an unsupported URL."""
        self.url = url.rstrip("/")
        self._files, self._root = _open(self.url)
        self.absolute_url = str(self._files.unstrip_protocol(self._root))  # the same from every folder

    def entries(self, key: str = "") -> dict[str, Entry]:
        """Return the entries directly below `key`, by name."""
        with self._errors(key):
            infos = self._files.ls(self._path(key), detail=True)
        return {info["name"].rstrip("/").rpartition("/")[2]: _entry(info) for info in infos}

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        with self._errors(key):
            data: bytes = self._files.cat_file(self._path(key))
        return data

    def download(self, key: str, path: Path) -> None:
        """Copy an object into a file, without checking it."""
        with self._errors(key):
            self._files.get_file(self._path(key), str(path))

    def open(self, key: str) -> IO[bytes]:
        """Open an object for reading."""
        with self._errors(key):
            opened: IO[bytes] = self._files.open(self._path(key), "rb")
        return opened

    def exists(self, key: str) -> bool:
        """Return whether there is an object of this key."""
        with self._errors(key):
            return bool(self._files.exists(self._path(key)))

    def write(self, key: str, data: bytes) -> None:
        """Write an object, which readers see whole or not at all."""
        with self._errors(key):
            self._make_folder(key)
            if self._is_file_system:  # which, unlike a store, shows unfinished files
                attempt = f"{self._path(key)}.{uuid.uuid4().hex}"
                self._files.pipe_file(attempt, data)
                self._files.mv(attempt, self._path(key))
            else:
                self._files.pipe_file(self._path(key), data)

    def upload(self, path: Path, key: str, sha256: str = "") -> None:
        """Copy a file to the store. A SHA-256 goes into the object's metadata, if the store has any."""
        with self._errors(key):
            self._make_folder(key)
            self._files.put_file(str(path), self._path(key), **(self._metadata(sha256) if sha256 else {}))

    def delete(self, key: str = "") -> None:
        """Delete an object, or everything below a key; nothing if there is none."""
        with self._errors(key), contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(key), recursive=True)

    def has(self, key: str, size: int, sha256: str) -> bool:
        """Return whether `upload` has copied this very content before; False if the store has no metadata."""
        if not self._metadata(sha256):
            return False
        with self._errors(key):
            try:
                info = self._files.info(self._path(key))
                return bool(info["size"] == size and self._files.metadata(self._path(key)).get(_SHA256) == sha256)
            except FileNotFoundError:
                return False

    @property
    def _is_file_system(self) -> bool:
        return "file" in self._files.protocol

    def _metadata(self, sha256: str) -> dict[str, Any]:
        return {"Metadata": {_SHA256: sha256}} if hasattr(self._files, "metadata") else {}

    def _make_folder(self, key: str) -> None:
        """Create the folder of a key, which file systems need and object stores do not."""
        if not hasattr(self._files, "metadata"):
            self._files.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:  # the exceptions of the stores' libraries share no base class
            raise StoreError(f"{self.url}/{key}".rstrip("/") + f" cannot be reached: {one_line(error)}") from error


def _open(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        # Without caches: listings must be current, and a closed store must not be reused.
        files, root = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise NotInstalled(
            f"{url}: object stores need the extra `stores`: pip install 'prompt-search[stores]' ({error})"
        ) from None
    except ValueError as error:
        raise StoreError(f"{url} is not the URL of an object store: {error}") from None
    return files, root.rstrip("/")


def _entry(info: dict[str, Any]) -> Entry:
    if info["type"] == "directory":
        return Entry(None, None)
    modified = info.get("LastModified", info.get("mtime"))
    seconds = modified.timestamp() if isinstance(modified, datetime) else modified
    return Entry(tuple(info.get(name) for name in _FINGERPRINT), seconds)
