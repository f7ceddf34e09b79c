"""A lock that lets one builder at a time write to a collection's folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from promptsearch.errors import BuildError


@contextlib.contextmanager
def locked(collection: Path) -> Iterator[None]:
    """Lock a collection until the block or the process ends.

    The lock's file lies beside the collection's folder, which a build that fails at once does not create.

    Raises BuildError if another process holds the lock.
    """
    try:
        collection.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BuildError(
            f"{collection.parent} is no folder, and cannot become one: name another for --indices"
        ) from None
    with (collection.parent / f".{collection.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError(
                f"another build of {collection.name} is running in {collection}: wait for its end"
            ) from None
        yield
