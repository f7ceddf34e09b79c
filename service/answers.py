"""Rows of a collection to the shapes that the service answers with: those of service/schemas.py, which tests compare.

Lists of results are put together as plain dictionaries and written to JSON in one go, because they are what a search
spends its time on beside the search itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from pydantic_core import to_json

from promptsearch.collection import Collection, Page
from promptsearch.encoders import unit
from promptsearch.items import Image, Prompt
from promptsearch.manifest import IndexInfo, Kind
from service import schemas
from service.catalogue import Catalogue, Served

IMAGES_OF_PROMPT = 4  # shown with a prompt in a list
IMAGES_OF_PROMPT_ALONE = 50


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
        self._has_files = served.files is not None
        self._has_thumbnails = served.collection.thumbnails is not None
        self._suffix = f"?{urlencode({'collection': served.name})}" if named else ""

    def page(self, kind: Kind, page: Page, notes: Sequence[str] = (), *, with_vectors: bool = False) -> Answer:
        results = self._images(page) if kind == "images" else self._prompts(page)
        if page.duplicates is not None:
            for result, duplicates in zip(results, page.duplicates, strict=True):
                result["duplicates"] = duplicates
        if page.more is not None:
            for result, more in zip(results, page.more, strict=True):
                result["more"] = more
        if with_vectors:
            vectors = self._collection.index(kind).vectors(np.asarray(page.rows, dtype=np.int64))
            for result, vector in zip(results, unit(vectors).tolist(), strict=True):
                result["vector"] = vector
        frame = to_json({"collection": self._name, "version": self._collection.version, "notes": notes})
        found, following = to_json(results), to_json(page.next.encode() if page.next else None)
        return Answer(frame[:-1] + b',"took_ms":', b',"results":%s,"next":%s}' % (found, following))

    def _images(self, page: Page) -> list[dict[str, Any]]:
        found = self._collection.items.images(page.rows)
        prompts = self._collection.prompts_of(list(found.values()))
        return [
            {**self._generation(found[row]), "score": _rounded(score), "prompt": _reference(found[row], prompts)}
            for row, score in zip(page.rows, page.scores, strict=True)
        ]

    def _prompts(self, page: Page) -> list[dict[str, Any]]:
        found = self._collection.items.prompts(page.rows)
        images = self._collection.items.images_of(page.rows, IMAGES_OF_PROMPT)
        return [
            {**self._prompt(found[row], images[row]), "score": _rounded(score)}
            for row, score in zip(page.rows, page.scores, strict=True)
        ]

    def image(self, image: Image) -> schemas.ImageItem:
        reference = _reference(image, self._collection.prompts_of([image]))
        return schemas.ImageItem(
            **self._generation(image),
            collection=self._name,
            prompt=schemas.PromptReference(**reference) if reference else None,
            extra=dict(image.extra),
        )

    def prompt(self, prompt: Prompt) -> schemas.PromptItem:
        images = self._collection.items.images_of([prompt.row], IMAGES_OF_PROMPT_ALONE)
        return schemas.PromptItem(**self._prompt(prompt, images[prompt.row]), collection=self._name)

    def _prompt(self, prompt: Prompt, images: Sequence[Image]) -> dict[str, Any]:
        return {
            "id": prompt.id,
            "text": prompt.text,
            "image_count": prompt.image_count,
            "images": [self._generation(image) for image in images],
        }

    def _generation(self, image: Image) -> dict[str, Any]:
        has_file = image.file is not None
        address = f"/images/{image.id}"
        return {
            "id": image.id,
            "image": {
                "width": image.width,
                "height": image.height,
                "source": image.source,
                "file": f"{address}/file{self._suffix}" if has_file and self._has_files else None,
                # Every image that has a file was decoded, and so has a thumbnail.
                "thumbnail": f"{address}/thumbnail{self._suffix}" if has_file and self._has_thumbnails else None,
            },
            "settings": image.settings,
        }


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


def _reference(image: Image, prompts: Mapping[int, Prompt]) -> dict[str, str] | None:
    prompt = None if image.prompt is None else prompts.get(image.prompt)
    return None if prompt is None else {"id": prompt.id, "text": prompt.text}


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)
