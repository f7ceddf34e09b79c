"""Which items of a version are taken down: those that are named, and those that show a picture that is."""

from __future__ import annotations

from collections.abc import Iterable, Set

from promptsearch.engines.engine import Items
from promptsearch.storage.digests import PictureDigests
from promptsearch.storage.hidden import Takedown


class Pictures:
    """Which picture each image of a version shows, by the digest of its content."""

    def __init__(self, items: Items, digests: PictureDigests | None) -> None:
        """Read pictures of `items`, which must include hidden ones; without `digests`, every picture is unknown.

        Versions built by earlier releases have no digests.
        """
        self._items = items
        self._digests = digests

    def digests(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Return the digests of the pictures of these images, by id; without those that are unknown."""
        if self._digests is None:
            return {}
        images = self._items.images(self._items.rows("images", sorted(set(ids))))
        return {image.id: digest for row, image in images.items() if (digest := self._digests.of(row)) is not None}

    def ids(self, digests: Set[bytes]) -> set[str]:
        """Return the ids of all images that show one of these pictures."""
        if self._digests is None or not digests:
            return set()
        return {image.id for image in self._items.images(self._digests.rows(digests)).values()}

    def hidden_digests(self, hidden: Set[Takedown | str]) -> frozenset[bytes]:
        """Return the digests of the pictures that these takedowns hide, as far as they are known; a text is an id."""
        takedowns = [Takedown(each) if isinstance(each, str) else each for each in hidden]
        named = self.digests(takedown.id for takedown in takedowns if takedown.picture is None)
        return frozenset(named.values()).union(each.picture for each in takedowns if each.picture is not None)

    def hidden(self, hidden: Set[Takedown | str]) -> set[str]:
        """Return the ids that these takedowns hide; a text is an id.

        Ids that the version does not have are among them, but not those that show another picture than was taken down.
        """
        takedowns = [Takedown(each) if isinstance(each, str) else each for each in hidden]
        shown = self.digests(takedown.id for takedown in takedowns if takedown.picture is not None)
        named = {
            takedown.id
            for takedown in takedowns
            if takedown.picture is None or shown.get(takedown.id, takedown.picture) == takedown.picture
        }
        return named | self.ids({takedown.picture for takedown in takedowns if takedown.picture is not None})
