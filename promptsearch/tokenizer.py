"""CLIP's byte-pair tokens without torch, equal to `clip.tokenize`.

The merges come from the bundle's `tokenizer.json` and are applied by the `tokenizers` library. Cleaning and word
splitting happen here, with the same libraries as in clip/simple_tokenizer.py (ftfy, regex): the splitter built into
`tokenizers` knows an older Unicode and splits 17,000 letters differently.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import ftfy
import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Tokenizer as BytePairs

from promptsearch.bundle import FILES, Bundle, TextSpec
from promptsearch.errors import BundleError

# clip/simple_tokenizer.py: SimpleTokenizer.pat
_WORDS = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)
_SPACES = regex.compile(r"\s+")


def clean(text: str) -> str:
    """clip/simple_tokenizer.py: basic_clean, whitespace_clean and lower-casing."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    cleaned: str = _SPACES.sub(" ", text.strip()).strip().lower()
    return cleaned


class Tokenizer:
    """Text to token ids, as one model bundle says."""

    def __init__(self, byte_pairs: BytePairs, spec: TextSpec) -> None:
        if spec.cleaning != "clip":
            raise BundleError(f"text cleaning {spec.cleaning!r} is not known; known: 'clip'")
        if spec.padding not in ("longest", "context"):
            raise BundleError(f"text padding {spec.padding!r} is not known; known: 'longest', 'context'")
        self._byte_pairs = byte_pairs
        self.spec = spec

    @classmethod
    def load(cls, bundle: Bundle) -> Tokenizer:
        path = bundle.path(FILES.tokenizer)
        try:
            byte_pairs = BytePairs.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise BundleError(f"{path} is no tokenizer: {error}") from error
        return cls(byte_pairs, bundle.text)

    def ids(self, text: str) -> list[int]:
        """The text's ids between start and end token, at most `context_length`: more is cut before the end."""
        words = _WORDS.findall(clean(text))
        ids = self._byte_pairs.encode(words, is_pretokenized=True, add_special_tokens=False).ids if words else []
        return [self.spec.start_id, *ids[: self.spec.context_length - 2], self.spec.end_id]

    def batch(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64 [len(texts), longest or context length], padded at the end."""
        return self.pad([self.ids(text) for text in texts])

    def pad(self, rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """Several texts' ids as one int64 array [len(rows), longest or context length]."""
        longest = max((len(row) for row in rows), default=0)
        width = longest if self.spec.padding == "longest" else self.spec.context_length
        tokens = np.full((len(rows), width), self.spec.padding_id, dtype=np.int64)
        for target, row in zip(tokens, rows, strict=True):
            target[: len(row)] = row
        return tokens
