"""From a source's files to an answered search, through the command line and with the demo model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image as Pillow

from builder.__main__ import main
from builder.sources import Item, Rejected
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.search.collection import Collection
from promptsearch.storage.items import Image, Prompt
from promptsearch.storage.manifest import Kind
from tests.service.support.serving import serving

MODEL = Path(__file__).parents[3] / "models" / "emoji"


@cache
def encoders() -> Encoders:
    return Encoders(Bundle.open(MODEL), threads=1)


@dataclass(frozen=True)
class Built:
    collection: Collection

    def prompt(self, text: str) -> Prompt:
        """Return the prompt that is nearest to a text."""
        row = self._best("prompts", text)
        return self.collection.items.prompts([row])[row]

    def image(self, query: str | Pillow.Image) -> Image:
        """Return the image that is nearest to a text or a picture."""
        row = self._best("images", query)
        return self.collection.items.images([row])[row]

    def _best(self, kind: Kind, query: str | Pillow.Image) -> int:
        encode = encoders()
        vector = encode.encode_texts([query]) if isinstance(query, str) else encode.encode_images([query])
        return self.collection.search(kind, vector[0], 1).rows[0]


@contextmanager
def built(indices: Path, kind: str, path: Path, *more: str) -> Iterator[Built]:
    """Run `builder build` on a source; yield the collection."""
    main(["build", kind, str(path), *more, "--model", str(MODEL), "--collection", "c", "--indices", str(indices)])
    collection = Collection.open(indices / "c")
    try:
        yield Built(collection)
    finally:
        collection.close()


def served_thumbnails(indices: Path) -> dict[str, bytes | None]:
    """Return the thumbnails that a service serves, by source; None for images without one."""
    flags = ("--indices", str(indices), "--models", str(MODEL.parent))
    with serving(indices.parent, flags) as service:
        images = [result["image"] for result in service.get("/search/images", sort="source").json()["results"]]
        return {
            image["source"]: image["thumbnail"] and service.get(image["thumbnail"]).raise_for_status().content
            for image in images
        }


def split_rejected(entries: Iterable[Item | Rejected]) -> tuple[list[Item], list[Rejected]]:
    everything = list(entries)
    return (
        [entry for entry in everything if isinstance(entry, Item)],
        [entry for entry in everything if isinstance(entry, Rejected)],
    )
