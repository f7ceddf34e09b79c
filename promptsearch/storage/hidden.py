"""Items taken down: `indices/<collection>/hidden`, beside the versions, so that every later build keeps to it.

UTF-8 text, one takedown a line. Blank lines are ignored, and what follows a `#` is for people, with one exception:

    e6089a5256c5096c793e                                             the image or prompt with this id
    e6089a5256c5096c793e # picture 6ae1ca3ef4dcc3d4ba4dcbcfa3d7e2a1  the picture with this digest

The second form follows the picture: every image that shows it is hidden, whatever its id, and the id itself is hidden
unless it shows another picture. Releases that do not know this form read the id and hide that. The builder replaces the
file as a whole (`python -m builder hide`), so a reader sees the old list or the new one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from promptsearch.errors import CollectionError
from promptsearch.storage.manifest import FILES

_PICTURE = re.compile(r"\s*picture\s+([0-9a-f]{32})\b")


class Takedown(NamedTuple):
    """One line: an item's id and, for a takedown that follows the picture, the 16 bytes of its content's digest."""

    id: str
    picture: bytes | None = None

    def __str__(self) -> str:
        return self.id if self.picture is None else f"{self.id} # picture {self.picture.hex()}"


def parse_line(line: str) -> Takedown | None:
    """Return the takedown that a line of the file holds; None for a blank line or a comment."""
    before, _, comment = line.partition("#")
    if not (id := before.strip()):
        return None
    picture = _PICTURE.match(comment)
    return Takedown(id, bytes.fromhex(picture[1]) if picture else None)


def read_hidden(collection: Path) -> frozenset[Takedown]:
    """Return what no answer may show; empty if there is no such file. Raises CollectionError if it is unreadable.

    An id need not belong to the version that is served: what left the source may come back with a later build.
    """
    path = collection / FILES.hidden
    try:
        text = path.read_text(encoding="utf-8-sig")  # an editor may have put a byte order mark first
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise CollectionError(f"{path} cannot be read, so what is taken down is unknown: {error}") from error
    return frozenset(takedown for line in text.splitlines() if (takedown := parse_line(line)))
