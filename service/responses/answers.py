"""What is found in a collection as the JSON that the service answers with: the shapes of service/responses/schemas.py.

Lists of results are written from plain dictionaries in one go.
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
from .item_urls import ItemAddresses


@dataclass(frozen=True)
class Answer:
    """The JSON of a page of results but for how long it took, which each request that gets it says for itself."""

    before: bytes
    after: bytes

    def __len__(self) -> int:
        """Bytes."""
        return len(self.before) + len(self.after)

    def json(self, took_ms: float, explain: Mapping[Any, float] | None = None) -> bytes:
        explained = b"" if explain is None else b',"explain":' + to_json(explain)
        return b"%s%.3f%s%s" % (self.before, took_ms, explained, self.after)


class Answers:
    """Answers about one collection. `named` puts the collection into item URLs, for where more than one is served."""

    def __init__(self, served: Served, *, named: bool) -> None:
        self._name = served.name
        self._collection = served.collection
        # Not a method of this object: what refers to itself would hold a version open until a collection of garbage.
        addresses = ItemAddresses(served, named=named)
        self._listing = Serializer(served.collection, lambda image: (addresses.file(image), addresses.thumbnail(image)))

    def page(self, kind: Kind, page: Page, notes: Sequence[str] = (), *, with_vectors: bool = False) -> Answer:
        results = self._listing.page(kind, page, with_vectors=with_vectors)
        before = to_json({"collection": self._name, "version": self._collection.version})
        after = to_json({"results": results, "next": page.next.encode() if page.next else None, "notes": notes})
        return Answer(before[:-1] + b',"took_ms":', b"," + after[1:])

    def image(self, image: Image) -> schemas.ImageItem:
        return schemas.ImageItem(collection=self._name, **self._listing.image(image))

    def prompt(self, prompt: Prompt) -> schemas.PromptItem:
        return schemas.PromptItem(collection=self._name, **self._listing.prompt(prompt))


def field_list(served: Served) -> schemas.FieldList:
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
    return schemas.CollectionList(
        default=catalogue.default,
        collections=[collection_summary(served) for served in catalogue.served.values()],
        refused=dict(catalogue.refused),
        outdated=dict(catalogue.outdated),
    )


def collection_summary(served: Served) -> schemas.CollectionSummary:
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
