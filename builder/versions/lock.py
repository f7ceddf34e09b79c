"""A lock that lets one builder at a time write to a collection's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from promptsearch.errors import BuildError
from promptsearch.system.locks import exclusive_lock


@contextlib.contextmanager
def locked(collection: Path) -> Iterator[None]:
    """Lock a collection until the block or the process ends. Raises BuildError if another process holds the lock.

    The lock file lies beside the collection's folder, which a build that fails at once does not create.
    """
    try:
        collection.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BuildError(
            f"{collection.parent} is not a folder and cannot be created: choose another folder with --indices"
        ) from None
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(collection.parent / f".{collection.name}.lock", wait=False))
        except BlockingIOError:
            raise BuildError(
                f"another build of {collection.name} is running in {collection}: wait until it finishes"
            ) from None
        yield
