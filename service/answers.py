"""Rows of a collection to the shapes that the service answers with."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from promptsearch.collection import Collection, Page
from promptsearch.items import Image, Prompt
from promptsearch.manifest import IndexInfo
from service import schemas
from service.catalogue import Catalogue, Served

IMAGES_OF_PROMPT = 4  # shown with a prompt in a list
IMAGES_OF_PROMPT_ALONE = 50


class Answers:
    """Answers about one collection. `named` puts the collection into item URLs, for where more than one is served."""

    def __init__(self, served: Served, *, named: bool) -> None:
        self._name = served.name
        self._collection = served.collection
        self._has_files = served.files is not None
        self._suffix = f"?{urlencode({'collection': served.name})}" if named else ""

    def images(self, page: Page, took_ms: float) -> schemas.ImageResults:
        found = self._collection.items.images(page.rows)
        prompts = self._collection.prompts_of(list(found.values()))
        results = [
            schemas.ImageResult(
                **self._generation(found[row]), score=round(score, 6), prompt=_reference(found[row], prompts)
            )
            for row, score in zip(page.rows, page.scores, strict=True)
        ]
        return schemas.ImageResults(results=results, **self._frame(page, took_ms))

    def prompts(self, page: Page, took_ms: float) -> schemas.PromptResults:
        found = self._collection.items.prompts(page.rows)
        results = [
            schemas.PromptResult(**self._prompt(found[row], IMAGES_OF_PROMPT), score=round(score, 6))
            for row, score in zip(page.rows, page.scores, strict=True)
        ]
        return schemas.PromptResults(results=results, **self._frame(page, took_ms))

    def image(self, image: Image) -> schemas.ImageItem:
        return schemas.ImageItem(
            **self._generation(image),
            collection=self._name,
            prompt=_reference(image, self._collection.prompts_of([image])),
            extra=dict(image.extra),
        )

    def prompt(self, prompt: Prompt) -> schemas.PromptItem:
        return schemas.PromptItem(**self._prompt(prompt, IMAGES_OF_PROMPT_ALONE), collection=self._name)

    def _prompt(self, prompt: Prompt, images: int) -> dict[str, Any]:
        shown = self._collection.items.images_of([prompt.row], images)[prompt.row]
        return {
            "id": prompt.id,
            "text": prompt.text,
            "image_count": prompt.image_count,
            "images": [schemas.Generation(**self._generation(image)) for image in shown],
        }

    def _generation(self, image: Image) -> dict[str, Any]:
        def link(part: str, *, there: bool) -> str | None:
            return f"/images/{image.id}/{part}{self._suffix}" if there else None

        picture = schemas.Picture(
            width=image.width,
            height=image.height,
            source=image.source,
            file=link("file", there=self._has_files and image.file is not None),
            # Every image that has a file was decoded, and so has a thumbnail.
            thumbnail=link("thumbnail", there=self._collection.thumbnails is not None and image.file is not None),
        )
        return {"id": image.id, "image": picture, "settings": dict(image.settings)}

    def _frame(self, page: Page, took_ms: float) -> dict[str, Any]:
        return {
            "collection": self._name,
            "version": self._collection.version,
            "took_ms": round(took_ms, 2),
            "next": page.next.encode() if page.next else None,
        }


def collection_list(catalogue: Catalogue) -> schemas.CollectionList:
    return schemas.CollectionList(
        default=catalogue.default,
        collections=[collection_summary(served) for served in catalogue.served.values()],
        refused=dict(catalogue.refused),
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


def _reference(image: Image, prompts: dict[int, Prompt]) -> schemas.PromptReference | None:
    prompt = None if image.prompt is None else prompts.get(image.prompt)
    if prompt is None:
        return None
    return schemas.PromptReference(id=prompt.id, text=prompt.text)
