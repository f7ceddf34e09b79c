"""Items as answers show them, against the metadata that the collection was built from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from promptsearch.search.collection import Collection, Page
from promptsearch.search.options import Options
from promptsearch.search.serialize import IMAGES_OF_PROMPT, IMAGES_OF_PROMPT_ALONE, Serializer
from promptsearch.storage.items import Image, item_id
from tests.support.vectors import Vectors, build, random_vectors

IMAGES, PROMPTS, DIM = 70, 3, 8


def described(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"seed": number, "sampler": "ddim"} if number % 2 else {}, {"style": "ö", "tags": [number]}


@pytest.fixture(scope="module")
def images() -> Vectors:
    return random_vectors(IMAGES, DIM)


@pytest.fixture(scope="module")
def collection(images: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    prompts = random_vectors(PROMPTS, DIM, seed=1)
    collection = Collection.open(
        build(tmp_path_factory.mktemp("indices") / "shown", images, prompts, describe=described, without_vector=1)
    )
    yield collection
    collection.close()


def locations(image: Image) -> tuple[str | None, str | None]:
    return f"/files/{image.id}", None if image.row % 2 else f"/thumbnails/{image.id}"


def generation(number: int) -> dict[str, Any]:
    """Return what every answer has of image `number`, which is in row `number`."""
    id = item_id("image", f"{number}.png")
    decoded = number < IMAGES
    return {
        "id": id,
        "image": {
            "width": 8 if decoded else None,
            "height": 8 if decoded else None,
            "source": f"{number}.png",
            "file": f"/files/{id}",
            "thumbnail": None if number % 2 else f"/thumbnails/{id}",
        },
        "settings": described(number)[0],
    }


def reference(number: int) -> dict[str, str]:
    text = f"prompt {min(number, PROMPTS - 1)}"
    return {"id": item_id("prompt", text), "text": text}


def test_page_of_images(collection: Collection) -> None:
    page = Page([5, 0, 69], [0.12345678, None, -0.5], None)
    assert Serializer(collection, locations).page("images", page) == [
        {**generation(5), "score": 0.123457, "prompt": reference(5)},
        {**generation(0), "score": None, "prompt": reference(0)},
        {**generation(69), "score": -0.5, "prompt": reference(69)},
    ]


def test_page_of_prompts_shows_a_few_images(collection: Collection) -> None:
    last, first = Serializer(collection, locations).page("prompts", Page([2, 0], [0.5, 0.25], None))
    assert last == {
        **reference(2),
        "image_count": IMAGES + 1 - 2,
        "images": [generation(number) for number in range(2, 2 + IMAGES_OF_PROMPT)],
        "score": 0.5,
    }
    assert first == {**reference(0), "image_count": 1, "images": [generation(0)], "score": 0.25}


def test_requested_parts_are_added(collection: Collection, images: Vectors) -> None:
    page = Page([3, 1], [0.5, 0.25], None, more=[4, 0], duplicates=[0, 2])
    results = Serializer(collection, locations).page("images", page, with_vectors=True)
    assert [(result["more"], result["duplicates"]) for result in results] == [(4, 0), (0, 2)]
    for result, row in zip(results, page.rows, strict=True):
        assert np.linalg.norm(result["vector"]) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(result["vector"], images[row], atol=1e-3)


def test_items_by_themselves(collection: Collection) -> None:
    serializer = Serializer(collection, locations)
    image = collection.items.image(item_id("image", "70.png"))  # without a vector, so without a size
    assert serializer.image(image) == {
        **generation(70),
        "prompt": reference(70),
        "extra": {"style": "ö", "tags": [70]},
    }
    prompt = serializer.prompt(collection.items.prompt(reference(2)["id"]))
    assert prompt["image_count"] == IMAGES + 1 - 2
    assert prompt["images"] == [generation(number) for number in range(2, 2 + IMAGES_OF_PROMPT_ALONE)]


def test_hidden_prompt_is_not_shown_with_its_image(collection: Collection) -> None:
    serializer = Serializer(collection.with_hidden({reference(0)["id"]}), locations)
    [result] = serializer.page("images", Page([0], [0.5], None))
    assert result["prompt"] is None


def test_answers_are_json(collection: Collection, images: Vectors) -> None:
    page = collection.search("images", images[0], 5, Options(group_by="prompt", deduplicate=True))
    results = Serializer(collection, locations).page("images", page, with_vectors=True)
    assert json.loads(json.dumps(results)) == results
