"""File operations of both on-disk formats: checksums, atomic writes, JSON."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError for anything else: a pipe or a device may never end."""
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115  pathlib's has no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def require_regular(path: Path) -> None:
    """Raise OSError as `open_regular` does, before something else opens the file."""
    open_regular(path).close()


def read_regular(path: Path, limit: int) -> bytes:
    """Return at most `limit` + 1 bytes of a regular file, so more than `limit` only of a larger one. Raises OSError."""
    with open_regular(path) as file:
        return file.read(limit + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer would wait for one


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 as 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_text(path: Path, text: str) -> None:
    """Write a file atomically: a reader, or a crash at any moment, leaves the old file or the new one."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically, as `replace_text`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable; otherwise a power failure may undo them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any) -> str:
    """Return JSON as in manifests: indented, in the order of the fields, without escaping Unicode."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
