"""Rows of a collection as answers show them, in JSON's types.

Plain dictionaries: beside the search itself, a request spends most of its time on building lists of results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from promptsearch.encoding.encoders import unit
from promptsearch.search.collection import Collection, Page
from promptsearch.storage.items import Image, Prompt
from promptsearch.storage.manifest import Kind

IMAGES_OF_PROMPT = 4  # shown of each prompt in a list
IMAGES_OF_PROMPT_ALONE = 50

Locations = Callable[[Image], tuple[str | None, str | None]]  # image -> path or URL of its file and thumbnail


class Serializer:
    """Serializes items of one collection; `locations` returns paths for this machine, or URLs for clients."""

    def __init__(self, collection: Collection, locations: Locations) -> None:
        self._collection = collection
        self._locations = locations

    def page(self, kind: Kind, page: Page, *, with_vectors: bool = False) -> list[dict[str, Any]]:
        """Return the results of a page, best first."""
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
        return results

    def image(self, image: Image) -> dict[str, Any]:
        """Return one image by itself, with the further metadata of its source."""
        return {
            **self._generation(image),
            "prompt": _reference(image, self._collection.prompts_of([image])),
            "extra": dict(image.extra),
        }

    def prompt(self, prompt: Prompt) -> dict[str, Any]:
        """Return one prompt by itself, with the first of its images."""
        images = self._collection.items.images_of([prompt.row], IMAGES_OF_PROMPT_ALONE)
        return self._prompt(prompt, images[prompt.row])

    def _images(self, page: Page) -> list[dict[str, Any]]:
        images = self._collection.items.images(page.rows)
        prompts = self._collection.prompts_of(list(images.values()))
        return [
            {**self._generation(images[row]), "score": _rounded(score), "prompt": _reference(images[row], prompts)}
            for row, score in zip(page.rows, page.scores, strict=True)
        ]

    def _prompts(self, page: Page) -> list[dict[str, Any]]:
        prompts = self._collection.items.prompts(page.rows)
        images = self._collection.items.images_of(page.rows, IMAGES_OF_PROMPT)
        return [
            {**self._prompt(prompts[row], images[row]), "score": _rounded(score)}
            for row, score in zip(page.rows, page.scores, strict=True)
        ]

    def _prompt(self, prompt: Prompt, images: Sequence[Image]) -> dict[str, Any]:
        return {
            "id": prompt.id,
            "text": prompt.text,
            "image_count": prompt.image_count,
            "images": [self._generation(image) for image in images],
        }

    def _generation(self, image: Image) -> dict[str, Any]:
        file, thumbnail = self._locations(image)
        return {
            "id": image.id,
            "image": {
                "width": image.width,
                "height": image.height,
                "source": image.source,
                "file": file,
                "thumbnail": thumbnail,
            },
            "settings": image.settings,
        }


def _reference(image: Image, prompts: Mapping[int, Prompt]) -> dict[str, str] | None:
    prompt = None if image.prompt is None else prompts.get(image.prompt)
    return None if prompt is None else {"id": prompt.id, "text": prompt.text}


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)
