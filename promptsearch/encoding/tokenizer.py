"""A text's tokens without torch, equal to `clip.tokenize` or to the tokenizers of open_clip.

Merges, pieces and vocabulary come from the bundle's `tokenizer.json` and are applied by the `tokenizers` library.
Cleaning happens here, and so does CLIP's splitting into words, with the same libraries as in clip/simple_tokenizer.py
and open_clip/tokenizer.py (ftfy, regex): the splitter built into `tokenizers` knows an older Unicode and splits 17,000
letters differently.
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
KNOWN_WORDS = 8192  # whose ids are kept: prompts are made of few words, and dividing one takes longer than all else


def _basic(text: str) -> str:
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.strip()  # ftfy mends other letters, control characters and entities
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def clean(text: str) -> str:
    """clip/simple_tokenizer.py: basic_clean, whitespace_clean and lower-casing."""
    cleaned: str = _SPACES.sub(" ", _basic(text)).strip().lower()
    return cleaned


def whitespace(text: str) -> str:
    """open_clip/tokenizer.py: _clean_whitespace. `str.split` takes a few more characters for spaces than `regex`."""
    return " ".join(_basic(text).split())


def lower(text: str) -> str:
    """open_clip/tokenizer.py: _clean_lower."""
    return whitespace(text).lower()


def canonicalize(text: str) -> str:
    """open_clip/tokenizer.py: _clean_canonicalize, which takes out ASCII punctuation."""
    return " ".join(_basic(text).replace("_", " ").translate(_PUNCTUATION).lower().split())


CLEANING: Mapping[str, Callable[[str], str]] = {
    "clip": clean,
    "lower": lower,
    "whitespace": whitespace,
    "canonicalize": canonicalize,
}


class Tokenizer:
    """Text to token ids, as one model bundle says."""

    def __init__(self, file: TokenizerFile, spec: TextSpec) -> None:
        _require("cleaning", spec.cleaning, tuple(CLEANING))
        _require("padding", spec.padding, ("longest", "context"))
        _require("splitting", spec.splitting, ("clip", "file"))
        self._file = file
        self._clean = CLEANING[spec.cleaning]
        self._words = _pattern(file, spec) if spec.splitting == "clip" else None
        self._divide_word = lru_cache(KNOWN_WORDS)(partial(_ids_of_word, file))
        self._start = [] if spec.start_id is None else [spec.start_id]
        self.spec = spec

    @classmethod
    def load(cls, bundle: Bundle) -> Tokenizer:
        path = bundle.path(FILES.tokenizer)
        try:
            file = TokenizerFile.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise BundleError(f"{path} is no tokenizer: {error}") from error
        return cls(file, bundle.text)

    def ids(self, text: str) -> list[int]:
        """The text's ids between start and end token, at most `context_length`: more is cut before the end.

        Where the encoder reads the whole context whatever the text, they are padded to it.
        """
        return self.read(text)[0]

    def read(self, text: str) -> tuple[list[int], bool]:
        """The same, and whether anything was cut."""
        kept = self.spec.context_length - len(self._start) - 1
        own = self._divide(self._clean(text))
        ids = [*self._start, *own[:kept], self.spec.end_id]
        if self.spec.padding == "context":
            ids += [self.spec.padding_id] * (self.spec.context_length - len(ids))
        return ids, len(own) > kept

    def _divide(self, text: str) -> list[int]:
        if self._words is None:
            return self._file.encode(text, add_special_tokens=False).ids
        return [id for word in self._words.findall(text) for id in self._divide_word(word)]

    def batch(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64 [len(texts), longest or context length], padded at the end."""
        return self.pad([self.ids(text) for text in texts])

    def pad(self, rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """Several texts' ids as one int64 array [len(rows), longest or context length]."""
        longest = max((len(row) for row in rows), default=0)
        tokens = np.full((len(rows), longest), self.spec.padding_id, dtype=np.int64)
        for target, row in zip(tokens, rows, strict=True):
            target[: len(row)] = row
        return tokens


def _ids_of_word(file: TokenizerFile, word: str) -> list[int]:
    return file.encode([word], is_pretokenized=True, add_special_tokens=False).ids


def _require(what: str, found: str, known: Sequence[str]) -> None:
    if found not in known:
        raise BundleError(f"text {what} {found!r} is not known; known: {', '.join(map(repr, known))}")


def _pattern(file: TokenizerFile, spec: TextSpec) -> regex.Pattern[str]:
    special = [file.id_to_token(number) for number in (spec.start_id, spec.end_id) if number is not None]
    if None in special:
        raise BundleError(f"the tokenizer has no token {spec.start_id} or {spec.end_id}: export the bundle again")
    return regex.compile("|".join([*map(regex.escape, special), _WORDS]), regex.IGNORECASE)
