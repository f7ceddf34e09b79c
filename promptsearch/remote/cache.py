"""The local cache of object stores: the folder of each URL, and locks on its entries."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from promptsearch.system.locks import exclusive_lock

CACHE = Path("~/.cache/prompt-search")


def cache_folder(cache: Path, url: str) -> Path:
    """Return the folder of a URL in a cache: the same for every process, legible, and different for every URL."""
    legible = re.sub(r"[^A-Za-z0-9.]+", "-", url).strip("-.")
    return cache.expanduser().absolute() / f"{legible}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def lock_entry(folder: Path, name: str) -> Iterator[None]:
    """Lock an entry of a cache folder, which is created, until the block ends. Other processes wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / f".{name}.lock"):
        yield
