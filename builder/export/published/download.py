"""Download large files over HTTPS: interrupted downloads resume, and a file gets its name only after it was checked."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import httpx

from promptsearch.errors import ExportError, one_line
from promptsearch.remote.cache import lock_entry
from promptsearch.system.files import sha256_of

from ...progress import Progress

log = logging.getLogger(__name__)

ATTEMPTS = 5  # in a row that bring nothing
TIMEOUT = httpx.Timeout(30.0)
MB = 1_000_000


def download(url: str, path: Path, sha256: str | None, headers: Mapping[str, str] | None = None) -> None:
    """Download a file to `path`, unless it is there with this SHA-256, or one that begins so.

    What an interrupted download has brought is kept beside `path`, and continued. `headers` are sent to the URL's own
    host alone. Raises ExportError if the file is another than expected, and httpx.HTTPError if it cannot be reached.
    """
    with lock_entry(path.parent, path.name):
        if path.is_file() and (sha256 is None or sha256_of(path).startswith(sha256)):
            return
        partial = path.with_name(f".{path.name}.partial")
        _fetch(url, partial, headers or {})
        if sha256 is not None and not (actual := sha256_of(partial)).startswith(sha256):
            partial.unlink()
            raise ExportError(f"{url} is not what was published: expected SHA-256 {sha256}, found {actual}")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)


def _fetch(url: str, partial: Path, headers: Mapping[str, str]) -> None:
    """Download, and continue after each interruption as long as something comes."""
    failures = 0
    while True:
        before = _size(partial)
        try:
            return _continue(url, partial, headers)
        except httpx.TransportError as error:
            failures = 0 if _size(partial) > before else failures + 1
            if failures == ATTEMPTS or isinstance(error, httpx.ConnectError):
                raise
            log.warning("%s: %s after %d MB: continuing", url, one_line(error), _size(partial) // MB)


def _continue(url: str, partial: Path, headers: Mapping[str, str]) -> None:
    start = _size(partial)
    ranged = {**headers, "Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    with httpx.stream("GET", url, headers=ranged, follow_redirects=True, timeout=TIMEOUT) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            if answer.headers.get("Content-Range") != f"bytes */{start}":  # what is here is longer
                partial.unlink()
                _continue(url, partial, headers)
            return
        answer.raise_for_status()
        resumes = answer.status_code == httpx.codes.PARTIAL_CONTENT
        if resumes:
            log.warning("%s: resuming at %d MB", url.rpartition("/")[2], start // MB)
        with partial.open("ab" if resumes else "wb") as file:
            _write(answer, file)


def _write(answer: httpx.Response, file: IO[bytes]) -> None:
    """Write a body to a file, and show how far it is."""
    done, length = 0, answer.headers.get("Content-Length")
    with Progress("MB", int(length) // MB if length else None) as progress:
        for chunk in answer.iter_raw():
            file.write(chunk)
            progress.add((done + len(chunk)) // MB - done // MB)
            done += len(chunk)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
