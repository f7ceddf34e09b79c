"""Warnings about answers, which they carry as `notes`."""

from __future__ import annotations

_EXCERPT = 40  # characters of a text


def truncation_warning(text: str, context_length: int) -> str:
    """Return the warning that a text is longer than the model's context of `context_length` tokens."""
    excerpt = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
    return f"the model reads {context_length} tokens at most: what comes after them in {excerpt!r} was cut off"
