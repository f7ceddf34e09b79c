"""Which prompts a model does not read to their end, for texts whose vectors an earlier release cached."""

from __future__ import annotations

from functools import cached_property

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.tokenizer import Tokenizer

_MOST_GROWTH = 2  # times as many bytes as a text has itself, after cleaning (lower case, entities)


class TruncationCheck:
    """Tells of texts whether a model reads only their beginning. Opens the tokenizer for the first long one."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._surely_read = (bundle.text.context_length - 3) // _MOST_GROWTH  # bytes; a token is at least one

    def is_truncated(self, text: str) -> bool:
        """Return whether the model reads only the beginning of a text."""
        return len(text.encode()) > self._surely_read and self._tokenizer.read(text)[1]

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self._bundle)
