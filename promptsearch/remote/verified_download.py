"""Files brought from a store: each has its name only after its SHA-256 was the one that is recorded for it.

What was checked is remembered with size and time of change, so that nothing is read again, let alone fetched again, at
the next start; a file that was changed since is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from promptsearch.errors import ArtefactError
from promptsearch.remote.store import Store
from promptsearch.system.files import replace_text, sha256_of

_RECORD = ".checked.json"  # name -> size and time of change of the file that was checked


def is_plain_name(name: str) -> bool:
    """Whether it is a name and no more: what a store says must not lead out of the cache."""
    return bool(name) and not name.startswith(".") and Path(name).name == name


def all_verified(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether all of these (name -> SHA-256) are in the folder, and as they were checked."""
    record = _read(folder)
    return all(_is_whole(folder / name, sha256, record) for name, sha256 in files.items())


def download_verified(
    store: Store, key: str, files: Mapping[str, str], folder: Path, wrong: type[ArtefactError]
) -> int:
    """Fetch what the folder lacks of these files (name -> SHA-256), which lie below `key`; returns the bytes fetched.

    Raises `wrong` for an object that is missing or damaged, and StoreError. One process at a time.
    """
    fetched, record = 0, _read(folder)
    for name, sha256 in files.items():
        path, place = folder / name, f"{store.url}/{key}/{name}"
        if not is_plain_name(name):
            raise wrong(f"{store.url}/{key} names a file {name!r}, which is no file's name")
        if not _is_whole(path, sha256, record):
            partial = folder / f".{name}.partial"
            try:
                store.download(f"{key}/{name}", partial)
            except FileNotFoundError:
                raise wrong(f"{place} is missing: upload it again") from None
            found = sha256_of(partial)
            if found != sha256:
                partial.unlink()
                raise wrong(f"{place} is damaged: its SHA-256 is {found}, recorded is {sha256}: upload it again")
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            fetched += path.stat().st_size
        if record.get(name) != _state(path):
            record[name] = _state(path)
            replace_text(folder / _RECORD, json.dumps(record))
    return fetched


def _is_whole(path: Path, sha256: str, record: Mapping[str, list[int]]) -> bool:
    return path.is_file() and (record.get(path.name) == _state(path) or sha256_of(path) == sha256)


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read(folder: Path) -> dict[str, list[int]]:
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or none that can be believed: files are read instead
        return {}
    return record if isinstance(record, dict) else {}
