"""Object stores: `s3://…`, or any URL that fsspec knows, where collections and models lie as they do on a disk.

fsspec comes with the extra `stores`, and is imported when the first store is opened. Credentials and endpoints are the
environment's: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and their like.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from promptsearch.errors import NotInstalled, StoreError

_SHA256 = "sha256"  # the user metadata in which `upload` says what it sent
_STAMP = ("ETag", "LastModified", "mtime", "ino", "size")  # what tells one state of an object from the next


def is_url(place: object) -> bool:
    """Whether it is the address of a store, and not a path."""
    return "://" in str(place)


@dataclass(frozen=True)
class Entry:
    """What lies directly below a key. `stamp` changes with an object's content; `modified` in seconds since 1970. Both
    are None for what only has other keys below it."""

    stamp: object | None
    modified: float | None


class Store:
    """The objects below one URL. Keys are relative to it; all methods raise StoreError where it cannot be reached or
    does not allow it, and FileNotFoundError where there is no such object. Safe to use from any thread."""

    def __init__(self, url: str) -> None:
        """Raises NotInstalled, which names the extra, and StoreError for a URL of no kind that is known."""
        self.url = url.rstrip("/")
        self._files, self._root = _opened(self.url)

    def entries(self, key: str = "") -> dict[str, Entry]:
        """What lies directly below `key`, by name."""
        with self._asking(key):
            found = self._files.ls(self._path(key), detail=True)
        return {one["name"].rstrip("/").rpartition("/")[2]: _entry(one) for one in found}

    def read(self, key: str) -> bytes:
        with self._asking(key):
            data: bytes = self._files.cat_file(self._path(key))
        return data

    def download(self, key: str, path: Path) -> None:
        """An object's bytes as they come, into a file."""
        with self._asking(key):
            self._files.get_file(self._path(key), str(path))

    def write(self, key: str, data: bytes) -> None:
        with self._asking(key):
            self._make_folder(key)
            self._files.pipe_file(self._path(key), data)

    def upload(self, path: Path, key: str, sha256: str) -> None:
        """Send a file whose SHA-256 is known, which the store remembers where it has a place for that."""
        with self._asking(key):
            self._make_folder(key)
            self._files.put_file(str(path), self._path(key), **self._metadata(sha256))

    def has(self, key: str, size: int, sha256: str) -> bool:
        """Whether `upload` sent just this before; False where that cannot be known."""
        if not self._metadata(sha256):
            return False
        with self._asking(key):
            try:
                info = self._files.info(self._path(key))
                return bool(info["size"] == size and self._files.metadata(self._path(key)).get(_SHA256) == sha256)
            except FileNotFoundError:
                return False

    def _metadata(self, sha256: str) -> dict[str, Any]:
        return {"Metadata": {_SHA256: sha256}} if hasattr(self._files, "metadata") else {}

    def _make_folder(self, key: str) -> None:
        """Where the store has folders; an object store's keys need none."""
        if not hasattr(self._files, "metadata"):
            self._files.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    @contextlib.contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:  # those of every store's own library, which share no base
            raise StoreError(f"{self.url}/{key}".rstrip("/") + f" cannot be reached: {_one_line(error)}") from error


def _opened(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        # Listings are asked for anew each time, and a store that was closed is not taken up again.
        files, root = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        raise NotInstalled(
            f"{url}: object stores take the extra `stores`: pip install 'prompt-search[stores]' ({error})"
        ) from None
    except ValueError as error:
        raise StoreError(f"{url} is no address of an object store: {error}") from None
    return files, root.rstrip("/")


def _entry(info: dict[str, Any]) -> Entry:
    if info["type"] == "directory":
        return Entry(None, None)
    modified = info.get("LastModified", info.get("mtime"))
    seconds = modified.timestamp() if isinstance(modified, datetime) else modified
    return Entry(tuple(info.get(name) for name in _STAMP), seconds)


def _one_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())
