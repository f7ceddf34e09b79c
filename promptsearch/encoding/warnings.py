"""What should be known of an answer."""

from __future__ import annotations

_SHOWN = 40  # characters of a text


def truncation_warning(text: str, context_length: int) -> str:
    """That a text is longer than the model reads."""
    begins = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"the model reads {context_length} tokens at most: what comes after them in {begins!r} was cut off"
