"""A guard against sources that are not there: a build does not replace a collection by less than half of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from promptsearch.errors import BuildError, CollectionError, UnknownCollection
from promptsearch.storage.manifest import Manifest, current_version

# Counts of the manifest, and their names in messages.
_COUNTED = {"images": "images", "image_vectors": "images with a picture", "prompts": "prompts"}


def require_most_kept(collection: Path, counts: Mapping[str, int]) -> None:
    """Raise BuildError if the served version has more than twice as many of anything as these `counts`.

    Counts are compared, not items: renamed files, or another source of about the same size, are not a loss. A
    collection that is not published yet, or whose version cannot be read, has nothing to lose.
    """
    try:
        served = Manifest.read(current_version(collection)).counts
    except (UnknownCollection, CollectionError):
        return
    lost = [
        f"{counts[name]} {words} ({collection.name} has {served[name]})"
        for name, words in _COUNTED.items()
        if 2 * counts[name] < served.get(name, 0)
    ]
    if lost:
        raise BuildError(
            f"the source has {', '.join(lost)}: expected at least half. Nothing was changed. Check that all drives and "
            "folders are mounted, or pass --allow-removal"
        )
