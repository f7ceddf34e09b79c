"""The service's problem documents (RFC 9457) as the library's errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from promptsearch.client.retries import retry_after
from promptsearch.errors import PROBLEM, NoVectors, PromptSearchError, RetryLater, ServiceError
from promptsearch.storage.manifest import KINDS

_EXCERPT = 200  # characters of an answer that is not a problem document


def error_from_response(response: httpx.Response) -> PromptSearchError:
    """Return the error that a response with an error status describes."""
    try:
        document = response.json()
    except ValueError:  # neither JSON nor UTF-8
        document = None
    if isinstance(document, dict) and "type" in document and "detail" in document:
        return error_from_problem({**document, "status": response.status_code}, _seconds(response))
    answer = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
    excerpt = response.text[:_EXCERPT].strip()
    return ServiceError(f"{answer}: {excerpt}".rstrip(": "), status=response.status_code)


def error_from_problem(document: Mapping[str, Any], seconds: int = 1) -> PromptSearchError:
    """Return the error that a problem document describes; ServiceError if its type is unknown.

    `seconds`: to wait, for the errors that have them.
    """
    type, detail = str(document["type"]), str(document["detail"])
    slug = type.removeprefix(PROBLEM)
    for kind in KINDS:
        error = NoVectors(kind, detail)
        if error.slug == slug:
            return error
    error_class = {each.slug: each for each in _subclasses(PromptSearchError) if "slug" in vars(each)}.get(slug)
    if error_class is None or not type.startswith(PROBLEM):
        return ServiceError(detail, status=document.get("status"), type=type, detail=detail)
    if issubclass(error_class, RetryLater):
        return error_class(detail, seconds)
    return error_class(detail)


def _seconds(response: httpx.Response) -> int:
    seconds = retry_after(response)
    return 1 if seconds is None else math.ceil(seconds)


def _subclasses(parent: type[PromptSearchError]) -> Iterator[type[PromptSearchError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _subclasses(child)
