"""Takedowns of earlier releases name an id alone: let them follow the picture that they were meant for.

The picture is the one that the served version shows under the id. Versions of earlier releases have no digests; then
the picture is found in the new version by its vector, which is the same to the last bit for the same picture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import CollectionError, NoVectors, UnknownCollection, UnknownItem
from promptsearch.search.collection import Collection
from promptsearch.storage.digests import digest_of_vector
from promptsearch.storage.hidden import Takedown, parse_line, read_hidden
from promptsearch.storage.items import Image
from promptsearch.storage.manifest import FILES, current_version
from promptsearch.system.files import replace_text
from promptsearch.system.locks import exclusive_lock

_NEAREST = 100  # images that are compared with a vector; copies of a picture come first


def follow_pictures(collection: Path, version: Path) -> None:
    """Add pictures' digests to takedowns that name an image's id alone, before `version` becomes the served one."""
    with exclusive_lock(collection):
        ids_without_digest = {takedown.id for takedown in read_hidden(collection) if takedown.picture is None}
        if not ids_without_digest:
            return
        with contextlib.closing(Collection(version)) as new, _served(collection) as old:
            versions = _Versions(new, old)
            pictures = {id: digests for id in sorted(ids_without_digest) if (digests := versions.pictures(id))}
        if pictures:
            path = collection / FILES.hidden
            lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
            replace_text(path, "".join(_with_digests(line, pictures) for line in lines))


@contextlib.contextmanager
def _served(collection: Path) -> Iterator[Collection | None]:
    """Open the served version, hidden items included; yield None if there is none, or it cannot be read."""
    try:
        opened = Collection(current_version(collection))
    except (UnknownCollection, CollectionError):
        yield None
        return
    with contextlib.closing(opened):
        yield opened


@dataclass(frozen=True)
class _Versions:
    """The new version, and the one that is served until it is published."""

    new: Collection
    old: Collection | None

    def pictures(self, id: str) -> Sequence[bytes]:
        """Return the digests of the picture that was hidden by this id; empty if it is a prompt's or unknown."""
        served = None if self.old is None else _image(self.old, id)
        if self.old is None or served is None:
            return _digests(self.new, [id])
        if digests := _digests(self.old, [id]):
            return digests
        try:
            vector = self.old.vector("images", served.row)
        except NoVectors:  # it had no picture when it was hidden
            return _digests(self.new, [id])
        if self.old.manifest.source["kind"] == "embeddings":
            return [digest_of_vector(vector)]
        matches = _images_with_vector(self.new, vector, served)
        if id in matches:
            return _digests(self.new, [id])
        # Those that showed it in the served version too are copies that were not hidden.
        copies = _images_with_vector(self.old, vector, served)
        return _digests(self.new, [other for other in matches if other not in copies])


def _images_with_vector(version: Collection, vector: NDArray[np.float32], shown: Image) -> Sequence[str]:
    """Return the ids of images with this vector, float32 [embedding_dim], and the size of that image."""
    if "images" not in version.kinds:
        return []
    rows = version.search("images", vector, _NEAREST).rows
    same = [row for row in rows if np.array_equal(version.vector("images", row), vector)]
    images = version.items.images(same).values()
    return [image.id for image in images if (image.width, image.height) == (shown.width, shown.height)]


def _image(version: Collection, id: str) -> Image | None:
    with contextlib.suppress(UnknownItem):
        return version.items.image(id)
    return None


def _digests(version: Collection, ids: Sequence[str]) -> Sequence[bytes]:
    return sorted(set(version.pictures.digests(ids).values()))


def _with_digests(line: str, pictures: Mapping[str, Sequence[bytes]]) -> str:
    """Return a line of the file with the picture of its id, once for each of its digests."""
    takedown = parse_line(line)
    if takedown is None or takedown.picture is not None or takedown.id not in pictures:
        return line
    _, _, comment = line.partition("#")
    rest = f"; {comment.strip()}" if comment.strip() else ""
    return "".join(f"{Takedown(takedown.id, digest)}{rest}\n" for digest in pictures[takedown.id])
