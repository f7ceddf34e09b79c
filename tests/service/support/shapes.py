"""The shapes that clients may rely on: the keys of answers, and problem documents for every error."""

from __future__ import annotations

from typing import Any

import httpx

ANSWER = ["collection", "version", "took_ms", "results", "next", "notes"]  # in this order
PICTURE = {"width", "height", "source", "file", "thumbnail"}
GENERATION = {"id", "image", "settings"}
IMAGE_RESULT = {*GENERATION, "score", "prompt"}
PROMPT_RESULT = {"id", "score", "text", "image_count", "images"}
IMAGE_ITEM = {*GENERATION, "collection", "prompt", "extra"}
PROMPT_ITEM = {"id", "collection", "text", "image_count", "images"}
PROBLEM = ["type", "title", "status", "detail"]


def check_generation(generation: dict[str, Any], keys: set[str] = GENERATION) -> None:
    """Check the keys of an image in an answer."""
    assert set(generation) == keys
    assert set(generation["image"]) == PICTURE
    if "prompt" in keys:
        assert generation["prompt"] is None or set(generation["prompt"]) == {"id", "text"}


def check_answer(response: httpx.Response, kind: str) -> dict[str, Any]:
    """Check the keys of every part of a search's answer; return its JSON."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert list(answer) == ANSWER
    for result in answer["results"]:
        if kind == "images":
            check_generation(result, IMAGE_RESULT)
        else:
            assert set(result) == PROMPT_RESULT
            for image in result["images"]:
                check_generation(image)
    return answer


def check_problem(response: httpx.Response, status: int, slug: str) -> str:
    """Check that the response is this problem document; return its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "cache-control" not in response.headers
    document = response.json()
    assert list(document) == PROBLEM
    assert (document["type"], document["status"]) == (f"urn:prompt-search:{slug}", status)
    detail: str = document["detail"]
    assert detail
    return detail
