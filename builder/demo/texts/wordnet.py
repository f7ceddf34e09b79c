"""WordNet: words, what they mean and how they are used, most of which no emoji is labelled with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from ..sources import WORDNET

_PARTS = ("noun", "verb", "adj", "adv")
_SCIENTIFIC = 3  # glosses of more than this many capitalised words are mostly taxa and biographies


@dataclass(frozen=True, slots=True)
class Synset:
    """Words of one meaning; `definition` is in clauses, as its semicolons part it."""

    lemmas: tuple[str, ...]
    definition: tuple[str, ...]
    examples: tuple[str, ...]


def load_synsets(work: Path) -> Iterator[Synset]:
    """Return every synset, in the dictionary's order: nouns, verbs, adjectives, adverbs."""
    return map(parse, _lines(work))


def load_adjectives(work: Path) -> frozenset[str]:
    """Return every one-word adjective, in lower case."""
    lines = (WORDNET.folder(work) / "dict" / "index.adj").read_text(encoding="utf-8").splitlines()
    return frozenset(line.split(" ", 1)[0] for line in lines if not line.startswith(" "))


def parse(line: str) -> Synset:
    """Parse a line of a WordNet data file (format: wndb(5WN)).

    >>> parse('00008435 29 v 02 wink 1 blink_away 0 000 00 | keep back by blinking; "blink away tears"')
    Synset(lemmas=('wink', 'blink away'), definition=('keep back by blinking',), examples=('blink away tears',))
    """
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    count = int(fields[3], 16)
    definition, *examples = gloss.strip().split('; "')
    return Synset(
        tuple(re.sub(r"\(\w+\)$", "", fields[4 + 2 * index]).replace("_", " ") for index in range(count)),
        tuple(clause for part in definition.split(";") if (clause := part.strip())),
        tuple(example.split('"')[0].strip() for example in examples),
    )


def phrases(synsets: Iterable[Synset]) -> list[str]:
    """Return lemmas, the definitions' clauses and quoted examples, each once, in order."""
    texts: dict[str, None] = {}
    for synset in synsets:
        clauses = (clause for clause in synset.definition if len(re.findall(r"\b[A-Z]", clause)) <= _SCIENTIFIC)
        texts |= dict.fromkeys((*synset.lemmas, *clauses, *synset.examples))
    return [text for text in texts if text]


def _lines(work: Path) -> Iterator[str]:
    folder = WORDNET.folder(work) / "dict"
    if not folder.is_dir():
        raise SourceError(f"{folder} is missing: run `python -m builder.demo fetch` first")
    for part in _PARTS:
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):  # the licence comes first, indented
                yield line
