"""Takedowns at once: ids in a collection's `hidden` file, which a running service honours and later builds keep."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptsearch.errors import BuildError, UnknownItem
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import read_hidden
from promptsearch.storage.manifest import FILES, current_version
from promptsearch.system.files import replace_text


def hide(collection: Path, ids: Sequence[str]) -> list[str]:
    """Hide these images and prompts; returns those that were not hidden yet. What stands in the file stays as it is.

    Raises BuildError, and hides nothing, where an id is not in the current version.
    """
    with _locked(collection):
        new = [id for id in dict.fromkeys(ids) if id not in read_hidden(collection)]
        _require_known(collection, new)
        if new:
            text = _text(collection)
            text += "" if not text or text.endswith("\n") else "\n"
            replace_text(collection / FILES.hidden, text + "".join(f"{id}\n" for id in new))
        return new


def unhide(collection: Path, ids: Sequence[str]) -> list[str]:
    """Show them again; returns each once. Raises BuildError, and shows nothing, where one is not hidden."""
    with _locked(collection):
        if unknown := [id for id in ids if id not in read_hidden(collection)]:
            raise BuildError(f"not hidden in {collection.name}: {', '.join(unknown)}; nothing was changed")
        lines = _text(collection).splitlines(keepends=True)
        kept = [line for line in lines if line.partition("#")[0].strip() not in ids]
        replace_text(collection / FILES.hidden, "".join(kept))
        return list(dict.fromkeys(ids))


def _text(collection: Path) -> str:
    path = collection / FILES.hidden
    return path.read_text(encoding="utf-8-sig") if path.is_file() else ""


def _require_known(collection: Path, ids: Sequence[str]) -> None:
    with contextlib.closing(Collection(current_version(collection))) as opened:
        if unknown := [id for id in ids if not _known(opened, id)]:
            raise BuildError(f"no image or prompt of {collection.name}: {', '.join(unknown)}; nothing was changed")


def _known(collection: Collection, id: str) -> bool:
    with contextlib.suppress(UnknownItem):
        collection.find(id)
        return True
    return False


@contextlib.contextmanager
def _locked(collection: Path) -> Iterator[None]:
    """One takedown after the other, so that none is lost. Builds hold another lock: a takedown waits for no build."""
    current_version(collection)  # raises UnknownCollection
    folder = os.open(collection, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
