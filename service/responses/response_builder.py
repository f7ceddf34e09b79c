"""The items of a collection as the JSON of responses: the shapes of service/responses/schemas.py.

Lists of results are written from plain dictionaries at once: they are what a search spends its time on besides the
search itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from promptsearch.search.collection import Collection, Page
from promptsearch.search.serialize import Serializer
from promptsearch.storage.items import Image, Prompt
from promptsearch.storage.manifest import IndexInfo, Kind

from ..catalogue.catalogue import Catalogue, Served
from . import schemas
from .item_urls import ItemUrls


@dataclass(frozen=True)
class CachedResponse:
    """The JSON of a response except for the time it took, which differs for each request that gets it."""

    before: bytes
    after: bytes = b""

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self.before) + len(self.after)

    def json(self, took_ms: float, explain: Mapping[Any, float] | None = None) -> bytes:
        """Return the whole JSON; `explain` has the milliseconds of each stage."""
        explained = b"" if explain is None else b',"explain":' + to_json(explain)
        return b"%s%.3f%s%s" % (self.before, took_ms, explained, self.after)


class ResponseBuilder:
    """Builds responses about one collection. With `named`, item URLs name it, for services of several."""

    def __init__(self, served: Served, *, named: bool) -> None:
        self._name = served.name
        self._collection = served.collection
        # Not a method of this object: a reference cycle would hold a version open until a garbage collection.
        urls = ItemUrls(served, named=named)
        self._serializer = Serializer(served.collection, lambda image: (urls.file(image), urls.thumbnail(image)))

    def page(self, kind: Kind, page: Page, notes: Sequence[str] = (), *, with_vectors: bool = False) -> CachedResponse:
        """Return a page of results, without `took_ms`."""
        results = self._serializer.page(kind, page, with_vectors=with_vectors)
        before = to_json({"collection": self._name, "version": self._collection.version})
        after = to_json({"results": results, "next": page.next.encode() if page.next else None, "notes": notes})
        return CachedResponse(before[:-1] + b',"took_ms":', b"," + after[1:])

    def image(self, image: Image) -> schemas.ImageItem:
        """Return one image, with everything that is known of it."""
        return schemas.ImageItem(collection=self._name, **self._serializer.image(image))

    def prompt(self, prompt: Prompt) -> schemas.PromptItem:
        """Return one prompt and its images."""
        return schemas.PromptItem(collection=self._name, **self._serializer.prompt(prompt))


def field_list(served: Served) -> schemas.FieldList:
    """Return the fields that the images of a collection can be filtered and sorted by."""
    fields = [
        schemas.FieldSummary(
            name=field.name,
            type=field.type,
            count=field.count,
            distinct=field.distinct,
            least=field.least,
            greatest=field.greatest,
            values=[(value, count) for value, count in field.values],
        )
        for field in served.collection.fields
    ]
    return schemas.FieldList(collection=served.name, version=served.collection.version, fields=fields)


def collection_list(catalogue: Catalogue) -> schemas.CollectionList:
    """Return every collection that is served, and why others are not."""
    return schemas.CollectionList(
        default=catalogue.default,
        collections=[collection_summary(served) for served in catalogue.served.values()],
        refused=dict(catalogue.refused),
        outdated=dict(catalogue.outdated),
    )


def collection_summary(served: Served) -> schemas.CollectionSummary:
    """Return one collection's counts, model and indices."""
    collection: Collection = served.collection
    manifest, bundle, precision = collection.manifest, served.encoders.bundle, served.encoders.precision
    return schemas.CollectionSummary(
        name=served.name,
        version=collection.version,
        created=manifest.created,
        counts=dict(manifest.counts),
        model=schemas.ModelSummary(
            name=bundle.name,
            identity=bundle.identity,
            embedding_dim=bundle.embedding_dim,
            precision=precision,
            fidelity=dict(bundle.precisions[precision].fidelity),
        ),
        images=_index(manifest.images),
        prompts=_index(manifest.prompts),
    )


def _index(info: IndexInfo | None) -> schemas.IndexSummary | None:
    if info is None:
        return None
    return schemas.IndexSummary(
        vectors=info.vectors, key=info.key, exact=info.exact, recall_at_10=dict(info.recall_at_10)
    )
