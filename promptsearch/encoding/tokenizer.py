"""Tokenization without torch, equal to `clip.tokenize` and to the tokenizers of open_clip.

The `tokenizers` library applies the merges and vocabulary of the bundle's `tokenizer.json`. Cleaning and CLIP's
splitting into words are done here, with the libraries of clip/simple_tokenizer.py and open_clip/tokenizer.py (ftfy,
regex): the splitter of `tokenizers` uses an older Unicode and splits 17,000 letters differently.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

import ftfy
import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Tokenizer as TokenizerFile

from promptsearch.encoding.bundle import FILES, Bundle, TextSpec
from promptsearch.errors import BundleError

# clip/simple_tokenizer.py and open_clip/tokenizer.py: SimpleTokenizer.pat, after the two special tokens
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_SPACES = regex.compile(r"\s+")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
CACHED_WORDS = 8192  # prompts share few words, and splitting a word into tokens is the slowest step


def _basic(text: str) -> str:
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.strip()  # ftfy repairs only other letters, control characters and entities
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def clean(text: str) -> str:
    """Clean a text as CLIP does: basic_clean, whitespace_clean, lower-casing of clip/simple_tokenizer.py."""
    cleaned: str = _SPACES.sub(" ", _basic(text)).strip().lower()
    return cleaned


def whitespace(text: str) -> str:
    """Clean a text as _clean_whitespace of open_clip/tokenizer.py; `str.split` knows more spaces than `regex`."""
    return " ".join(_basic(text).split())


def lower(text: str) -> str:
    """Clean a text as _clean_lower of open_clip/tokenizer.py."""
    return whitespace(text).lower()


def canonicalize(text: str) -> str:
    """Clean a text as _clean_canonicalize of open_clip/tokenizer.py, which removes ASCII punctuation."""
    return " ".join(_basic(text).replace("_", " ").translate(_PUNCTUATION).lower().split())


CLEANING: Mapping[str, Callable[[str], str]] = {
    "clip": clean,
    "lower": lower,
    "whitespace": whitespace,
    "canonicalize": canonicalize,
}


class Tokenizer:
    """Converts texts to token ids as a bundle's `TextSpec` describes. Raises BundleError if that is unknown."""

    def __init__(self, file: TokenizerFile, spec: TextSpec) -> None:
        _require("cleaning", spec.cleaning, tuple(CLEANING))
        _require("padding", spec.padding, ("longest", "context"))
        _require("splitting", spec.splitting, ("clip", "file"))
        self._file = file
        self._clean = CLEANING[spec.cleaning]
        self._words = _pattern(file, spec) if spec.splitting == "clip" else None
        self._word_ids = lru_cache(CACHED_WORDS)(partial(_encode_word, file))
        self._start = [] if spec.start_id is None else [spec.start_id]
        self.spec = spec

    @classmethod
    def load(cls, bundle: Bundle) -> Tokenizer:
        """Read the tokenizer of a bundle. Raises BundleError if it is damaged."""
        path = bundle.path(FILES.tokenizer)
        try:
            file = TokenizerFile.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise BundleError(f"{path} is not a valid tokenizer: {error}") from error
        return cls(file, bundle.text)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text between start and end token, truncated to `context_length`.

        If the encoder always reads the whole context, they are padded to it.
        """
        return self.read(text)[0]

    def read(self, text: str) -> tuple[list[int], bool]:
        """Return the ids of a text, as `ids`, and whether it was truncated."""
        available = self.spec.context_length - len(self._start) - 1
        tokens = self._encode(self._clean(text))
        ids = [*self._start, *tokens[:available], self.spec.end_id]
        if self.spec.padding == "context":
            ids += [self.spec.padding_id] * (self.spec.context_length - len(ids))
        return ids, len(tokens) > available

    def _encode(self, text: str) -> list[int]:
        if self._words is None:
            return self._file.encode(text, add_special_tokens=False).ids
        return [id for word in self._words.findall(text) for id in self._word_ids(word)]

    def batch(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the ids of texts, padded at the end, int64 [len(texts), longest or context length]."""
        return self.pad([self.ids(text) for text in texts])

    def pad(self, rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """Return lists of ids as one array, padded at the end, int64 [len(rows), longest or context length]."""
        longest = max((len(row) for row in rows), default=0)
        tokens = np.full((len(rows), longest), self.spec.padding_id, dtype=np.int64)
        for target, row in zip(tokens, rows, strict=True):
            target[: len(row)] = row
        return tokens


def _encode_word(file: TokenizerFile, word: str) -> list[int]:
    return file.encode([word], is_pretokenized=True, add_special_tokens=False).ids


def _require(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise BundleError(f"text {name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def _pattern(file: TokenizerFile, spec: TextSpec) -> regex.Pattern[str]:
    special = [file.id_to_token(number) for number in (spec.start_id, spec.end_id) if number is not None]
    if None in special:
        raise BundleError(f"the tokenizer has no token {spec.start_id} or {spec.end_id}: export the bundle again")
    return regex.compile("|".join([*map(regex.escape, special), _WORDS]), regex.IGNORECASE)
