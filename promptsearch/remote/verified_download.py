"""Downloads from a store that get their final name only after their SHA-256 was checked.

Size and modification time of checked files are recorded, so that the next start reads, or downloads, only files that
have changed since.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from promptsearch.errors import ArtefactError
from promptsearch.remote.store import Store
from promptsearch.system.files import replace_text, sha256_of

_RECORD = ".checked.json"  # name -> size and modification time (ns) of the checked file


def is_plain_name(name: str) -> bool:
    """Return whether a name from a store is a plain file name, which cannot lead out of the cache."""
    return bool(name) and not name.startswith(".") and Path(name).name == name


def all_verified(folder: Path, files: Mapping[str, str]) -> bool:
    """Return whether the folder has all of these files (name -> SHA-256), unchanged since they were checked."""
    record = _read(folder)
    return all(_is_verified(folder / name, sha256, record) for name, sha256 in files.items())


def download_verified(
    store: Store, key: str, files: Mapping[str, str], folder: Path, error_class: type[ArtefactError]
) -> int:
    """Download the files (name -> SHA-256) below `key` that the folder lacks, and return the number of bytes.

    Raises `error_class` for a missing or damaged object, and StoreError. Only one process at a time may do so.
    """
    fetched, record = 0, _read(folder)
    for name, sha256 in files.items():
        path, place = folder / name, f"{store.url}/{key}/{name}"
        if not is_plain_name(name):
            raise error_class(f"{store.url}/{key} names a file {name!r}, which is not a plain file name")
        if not _is_verified(path, sha256, record):
            partial = folder / f".{name}.partial"
            try:
                store.download(f"{key}/{name}", partial)
            except FileNotFoundError:
                raise error_class(f"{place} is missing: upload it again") from None
            actual = sha256_of(partial)
            if actual != sha256:
                partial.unlink()
                raise error_class(f"{place} is damaged: expected SHA-256 {sha256}, found {actual}: upload it again")
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            fetched += path.stat().st_size
        if record.get(name) != _state(path):
            record[name] = _state(path)
            replace_text(folder / _RECORD, json.dumps(record))
    return fetched


def _is_verified(path: Path, sha256: str, record: Mapping[str, list[int]]) -> bool:
    return path.is_file() and (record.get(path.name) == _state(path) or sha256_of(path) == sha256)


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read(folder: Path) -> dict[str, list[int]]:
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or damaged: the files are hashed again
        return {}
    return record if isinstance(record, dict) else {}
