"""Items taken down: `indices/<collection>/hidden`, beside the versions, so that every later build keeps to it.

UTF-8 text, one id of an image or prompt a line. Blank lines and what follows a `#` are for people. The builder replaces
the file as a whole (`python -m builder hide`), so a reader sees the old list or the new one.
"""

from __future__ import annotations

from pathlib import Path

from promptsearch.errors import CollectionError
from promptsearch.storage.manifest import FILES


def read_hidden(collection: Path) -> frozenset[str]:
    """The ids that no answer may hold; none where there is no such file. Raises CollectionError where it is unreadable.

    An id need not belong to the version that is served: what left the source may come back with a later build.
    """
    path = collection / FILES.hidden
    try:
        text = path.read_text(encoding="utf-8-sig")  # an editor may have put a byte order mark first
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise CollectionError(f"{path} cannot be read, so what is taken down is unknown: {error}") from error
    return frozenset(id for line in text.splitlines() if (id := line.partition("#")[0].strip()))
