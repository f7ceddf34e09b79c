"""Files of repositories on the Hugging Face hub, or on a server that speaks its addresses (HF_ENDPOINT).

The hub says the SHA-256 of large files with each request (X-Linked-ETag), by which they are checked. What the hub's own
client has cached is used, and its token is sent to the hub alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import huggingface_hub

from promptsearch.errors import ExportError, one_line
from promptsearch.system.files import sha256_of

from .download import TIMEOUT, download

ENDPOINT = "https://huggingface.co"
OFFLINE = "HF_HUB_OFFLINE is set"  # a reason
_REDIRECTS = 5
_NOT_SHOWN = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)
LARGE = (".safetensors", ".bin")  # endings of weights, which repositories do not have in Git


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, and the folder of this disk that its copies belong in."""

    repository: str
    revision: str
    name: str
    folder: Path

    @property
    def url(self) -> str:
        """Return the address of the file."""
        return f"{endpoint()}/{self.repository}/resolve/{quote(self.revision, safe='')}/{self.name}"

    @property
    def path(self) -> Path:
        """Return the place of our copy."""
        return self.folder / self.name

    def cached(self) -> Path | None:
        """Return a copy on this disk, ours or that of the hub's client, whose content is not checked."""
        if self.path.is_file():
            return self.path
        theirs = huggingface_hub.try_to_load_from_cache(self.repository, self.name, revision=self.revision)
        return Path(theirs) if isinstance(theirs, str) else None


def endpoint() -> str:
    """Return the hub's address (HF_ENDPOINT)."""
    return (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Return whether the hub must not be reached (HF_HUB_OFFLINE)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def fetch_first(files: Sequence[HubFile]) -> Path:
    """Return a copy of the first of these files that the repository has, downloaded if it is not on this disk.

    Raises ExportError. Without a network, and with HF_HUB_OFFLINE, a copy on this disk is used, or the error says where
    to put one.
    """
    if is_offline():
        return _without_network(files, OFFLINE)
    try:
        for file in files:
            if (path := _fetch(file)) is not None:
                return path
    except httpx.HTTPError as error:
        return _without_network(files, one_line(error))
    names = " or ".join(file.name for file in files)
    raise ExportError(f"{endpoint()}/{files[0].repository} has no {names} in revision {files[0].revision}")


def _without_network(files: Sequence[HubFile], reason: str) -> Path:
    for file in files:
        if (cached := file.cached()) is not None:
            return cached
    raise ExportError(missing(files[0].url, files[0].path, reason))


def missing(url: str, path: Path, reason: str) -> str:
    """Return the message about a file that cannot be downloaded: what to put where."""
    return f"{url} cannot be downloaded ({reason}): download it on another machine, and save it as {path}"


def _fetch(file: HubFile) -> Path | None:
    """Return a copy of a file whose SHA-256 is the hub's, or None if the repository has none. Raises HTTPError."""
    headers = _headers()
    with httpx.Client(timeout=TIMEOUT, headers=headers) as client:
        answer = _head(client, file)
    if answer is None:
        return None
    sha256: str | None = answer.headers.get("X-Linked-ETag", "").strip('"')
    if _is_sha256(sha256):
        if (cached := file.cached()) is not None and sha256_of(cached) == sha256:
            return cached
    elif file.name.endswith(LARGE):
        raise ExportError(f"{file.url}: the server does not say its SHA-256 (X-Linked-ETag), so it cannot be checked")
    else:
        sha256 = None
        file.path.unlink(missing_ok=True)  # a text in Git, which may have changed
    download(file.url, file.path, sha256, headers)
    return file.path


def _is_sha256(text: str | None) -> bool:
    return text is not None and re.fullmatch("[0-9a-f]{64}", text) is not None


def _headers() -> dict[str, str]:
    token = huggingface_hub.get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _head(client: httpx.Client, file: HubFile) -> httpx.Response | None:
    """Return the hub's own answer about a file, not that of the store it leads to; None if there is no such file."""
    url = httpx.URL(file.url)
    for _ in range(_REDIRECTS):
        answer = client.head(url, headers={"Accept-Encoding": "identity"})
        if answer.headers.get("X-Error-Code") == "EntryNotFound":
            return None
        if answer.status_code in _NOT_SHOWN:
            raise ExportError(
                f"{endpoint()}/{file.repository} has no revision {file.revision}, or does not show it to you: check "
                f"the name, and set HF_TOKEN for a repository that asks for one (HTTP {answer.status_code})"
            )
        if answer.is_error:
            answer.raise_for_status()
        target = url.join(answer.headers.get("Location", ""))
        if not answer.is_redirect or "X-Linked-ETag" in answer.headers or target.netloc != url.netloc:
            return answer
        url = target  # a renamed repository
    raise httpx.TooManyRedirects(f"{file.url} is redirected without an end")
