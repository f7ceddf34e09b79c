"""Conditional requests by ETag (RFC 9110, 13.1.2)."""

from __future__ import annotations

from starlette.requests import Request


def is_current(request: Request, etag: str) -> bool:
    """Return whether the client has what this ETag names: its If-None-Match has it, by weak comparison, or is `*`."""
    tags = {_opaque(tag.strip()) for tag in request.headers.get("if-none-match", "").split(",")}
    return not tags.isdisjoint((_opaque(etag), "*"))


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/")
