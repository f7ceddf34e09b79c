"""English phrases from WordNet: they teach the text tower words and turns of phrase that no emoji is labelled with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from builder.demo.errors import SourceError
from builder.demo.sources import WORDNET

_PARTS = ("noun", "verb", "adj", "adv")
_SCIENTIFIC = 3  # glosses of more than this many capitalised words are mostly taxa and biographies


def load_phrases(work: Path) -> list[str]:
    """Lemmas, definitions and quoted examples of WordNet's synsets, each once, in the dictionary's order."""
    return list(dict.fromkeys(phrase for line in _lines(work) for phrase in phrases(line)))


def load_adjectives(work: Path) -> frozenset[str]:
    """Every one-word adjective, lower case."""
    lines = (WORDNET.folder(work) / "dict" / "index.adj").read_text(encoding="utf-8").splitlines()
    return frozenset(line.split(" ", 1)[0] for line in lines if not line.startswith(" "))


def phrases(line: str) -> Iterator[str]:
    """The lemmas, the definition and the examples of one line of a WordNet data file (format: wndb(5WN)).

    >>> list(phrases('00008435 29 v 02 wink 1 blink_away 0 000 00 | keep back by blinking; "blink away tears"'))
    ['wink', 'blink away', 'keep back by blinking', 'blink away tears']
    """
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    for index in range(int(fields[3], 16)):
        yield re.sub(r"\(\w+\)$", "", fields[4 + 2 * index]).replace("_", " ")
    definition, *examples = gloss.strip().split('; "')
    definition = definition.split(";")[0].strip()
    if definition and len(re.findall(r"\b[A-Z]", definition)) <= _SCIENTIFIC:
        yield definition
    for example in examples:
        yield example.split('"')[0].strip()


def _lines(work: Path) -> Iterator[str]:
    folder = WORDNET.folder(work) / "dict"
    if not folder.is_dir():
        raise SourceError(f"{folder} is missing: run `python -m builder.demo fetch` first")
    for part in _PARTS:
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):  # the licence comes first, indented
                yield line
