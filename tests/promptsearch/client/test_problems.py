"""Problem documents become the errors that they describe."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from promptsearch.client.problems import error_from_problem, error_from_response
from promptsearch.errors import Overloaded, PromptSearchError, RetryLater, ServiceError


def all_kinds(of: type[PromptSearchError] = PromptSearchError) -> set[type[PromptSearchError]]:
    return {of}.union(*(all_kinds(kind) for kind in of.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(all_kinds(), key=str))
def test_every_error_survives_the_round_trip(kind: Any) -> None:
    slug = "no-image-index" if kind.__name__ == "NoVectors" else kind.slug
    error = error_from_problem({"type": f"urn:prompt-search:{slug}", "detail": "why"})
    assert type(error) is kind
    assert (str(error), error.slug) == ("why", slug)


def test_unknown_type_is_a_service_error() -> None:
    error = error_from_problem({"type": "about:blank", "detail": "why", "status": 418})
    assert type(error) is ServiceError
    assert (error.type, error.detail, error.status) == ("about:blank", "why", 418)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("", 1), ("soon", 1)])
def test_retry_after_is_taken_from_the_header(header: str, seconds: int) -> None:
    document = {"type": f"urn:prompt-search:{Overloaded.slug}", "detail": "busy"}
    response = httpx.Response(503, json=document, headers={"Retry-After": header} if header else {})
    error = error_from_response(response)
    assert isinstance(error, RetryLater)
    assert (type(error), error.retry_after) == (Overloaded, seconds)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[1]", b'{"type": "x"}'])
def test_other_answers_are_quoted(content: bytes) -> None:
    response = httpx.Response(502, content=content, request=httpx.Request("GET", "http://service/x"))
    error = error_from_response(response)
    assert isinstance(error, ServiceError)
    assert (error.status, error.type) == (502, None)
    assert str(error).startswith("http://service/x answered 502 Bad Gateway")
