"""The URLs of an image's original and thumbnail on this service."""

from __future__ import annotations

from urllib.parse import urlencode

from promptsearch.storage.items import Image

from ..catalogue.catalogue import Served


class ItemUrls:
    """The URLs of one collection's images, relative to the service. With `named`, they name the collection."""

    def __init__(self, served: Served, *, named: bool) -> None:
        collection = {"collection": served.name} if named else {}
        self._has_files = served.files is not None
        self._file = f"file?{urlencode(collection)}" if named else "file"
        # With the version, a thumbnail may be cached for good: see service/api/routes/items.py.
        self._thumbnail = f"thumbnail?{urlencode({**collection, 'version': served.collection.version})}"
        thumbnails, counts = served.collection.thumbnails, served.collection.manifest.counts
        # Every decoded picture has a thumbnail: all pictures with a vector, or none, if the source gave the vectors.
        self._decoded = 0 if thumbnails is None or thumbnails.empty else counts["image_vectors"]

    def file(self, image: Image) -> str | None:
        """Return the URL of the original, or None if it is not served."""
        return f"/images/{image.id}/{self._file}" if self._has_files and image.file is not None else None

    def thumbnail(self, image: Image) -> str | None:
        """Return the URL of the thumbnail, or None if there is none."""
        return f"/images/{image.id}/{self._thumbnail}" if image.row < self._decoded else None
