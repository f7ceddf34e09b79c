"""Where this service gives an image's original and its thumbnail."""

from __future__ import annotations

from urllib.parse import urlencode

from promptsearch.storage.items import Image

from ..catalogue.catalogue import Served


class ItemAddresses:
    """Those of one collection, below the service's own. `named` puts the collection into them, for where more than one
    is served."""

    def __init__(self, served: Served, *, named: bool) -> None:
        collection = {"collection": served.name} if named else {}
        self._has_files = served.files is not None
        self._file = f"file?{urlencode(collection)}" if named else "file"
        # With the version, a thumbnail may be kept for good: see service/api/routes/items.py.
        self._thumbnail = f"thumbnail?{urlencode({**collection, 'version': served.collection.version})}"
        thumbnails, counts = served.collection.thumbnails, served.collection.manifest.counts
        # Every picture that was decoded has one: all that have a vector, or none, where the source gave the vectors.
        self._decoded = 0 if thumbnails is None or thumbnails.empty else counts["image_vectors"]

    def file(self, image: Image) -> str | None:
        return f"/images/{image.id}/{self._file}" if self._has_files and image.file is not None else None

    def thumbnail(self, image: Image) -> str | None:
        return f"/images/{image.id}/{self._thumbnail}" if image.row < self._decoded else None
