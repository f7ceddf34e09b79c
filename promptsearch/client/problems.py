"""The errors that a service tells of, as the library's own: problem documents (RFC 9457) the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from promptsearch.errors import (
    PROBLEM,
    NoVectors,
    Overloaded,
    PromptSearchError,
    RateExceeded,
    ServiceError,
    VersionPending,
)
from promptsearch.storage.manifest import KINDS

_SHOWN = 200  # characters of an answer that is no problem document


def error_from_response(response: httpx.Response) -> PromptSearchError:
    """What an answer with an error's status says."""
    try:
        document = response.json()
    except ValueError:  # not JSON, or no text at all
        document = None
    if isinstance(document, dict) and "type" in document and "detail" in document:
        return error_from_problem({**document, "status": response.status_code}, _seconds(response.headers))
    what = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
    return ServiceError(f"{what}: {response.text[:_SHOWN].strip()}".rstrip(": "), status=response.status_code)


def error_from_problem(document: Mapping[str, Any], retry_after: int = 1) -> PromptSearchError:
    """The error that a problem document was made of; ServiceError where it is of no kind that is known."""
    type, detail = str(document["type"]), str(document["detail"])
    slug = type.removeprefix(PROBLEM)
    for kind in KINDS:
        error = NoVectors(kind, detail)
        if error.slug == slug:
            return error
    found = {one.slug: one for one in _kinds(PromptSearchError) if "slug" in vars(one)}.get(slug)
    if found is RateExceeded or found is Overloaded or found is VersionPending:
        return found(detail, retry_after)
    if found is None or not type.startswith(PROBLEM):
        return ServiceError(detail, status=document.get("status"), type=type, detail=detail)
    return found(detail)


def _seconds(headers: Mapping[str, str]) -> int:
    after = headers.get("retry-after", "")
    return int(after) if after.isdecimal() else 1


def _kinds(of: type[PromptSearchError]) -> Iterator[type[PromptSearchError]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)
