"""WordNet's texts for the emojis' own words, in the meaning that fits them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..emojis import Emoji
from ..pictures.pictures import prompt
from .captions import Caption
from .teacher import Teacher
from .wordnet import Synset

FIT = 0.3  # cosine of a definition with its classes, below which no sense of a word fits
SHARED = 40  # a tag of more classes than this describes each too little
WEIGHT = 0.5  # of the definitions beside the label and tags
_SUFFIX = re.compile(r" (face|symbol|sign|button|emoji)$")
_OF_COUNTRY = re.compile(r"of or relating to (?:or characteristic of )?(?:the )?(.+?)(?: (?:or|and) (?:its|the) .*)?$")


@dataclass(frozen=True, slots=True)
class Sense:
    """A word, the classes that it is true of (rows of the emoji list, in order) and the synset of that meaning.

    `named` marks a name of its class rather than a tag. `definition` is the teacher's unit vector of the
    synset's definition, float32 [384].
    """

    word: str
    classes: tuple[int, ...]
    synset: Synset
    named: bool
    definition: Tensor


def find_senses(emojis: Sequence[Emoji], synsets: Sequence[Synset], teacher: Teacher, classes: Tensor) -> list[Sense]:
    """Return, for each name and tag of the emojis, the synset nearest to the classes, if it is near enough.

    `classes` are the teacher's unit vectors of the classes, float32 [m, 384].
    """
    named, tagged = _names(emojis), _tags(emojis)
    words = {**{word: rows for word, rows in tagged.items() if len(rows) <= SHARED}, **named}
    meanings: defaultdict[str, list[Synset]] = defaultdict(list)
    for synset in synsets:
        for lemma in synset.lemmas:
            if lemma.lower() in words and synset.definition:
                meanings[lemma.lower()].append(synset)
    pairs = [(word, synset) for word, senses in meanings.items() for synset in senses]
    alone = teacher.encode(["; ".join(synset.definition) for _, synset in pairs])
    # With the word before it, a definition identifies the meaning; alone it shows whether the meaning fits.
    together = teacher.encode([f"{word}: {'; '.join(synset.definition)}" for word, synset in pairs])
    goals = {word: classes[sorted(words[word])].mean(0) for word in meanings}
    countries = [name for emoji in emojis if (name := _country(emoji)) and name in meanings]
    goals |= zip(countries, teacher.encode([f"{country}, a country" for country in countries]), strict=True)
    best: dict[str, tuple[float, Sense]] = {}
    for (word, synset), definition, whole in zip(pairs, alone, together, strict=True):
        fit = float(goals[word] @ whole)
        if word not in best or fit > best[word][0]:
            best[word] = fit, Sense(word, tuple(sorted(words[word])), synset, word in named, definition)
    return [sense for _, sense in best.values() if float(goals[sense.word] @ sense.definition) > FIT]


def defined(senses: Iterable[Sense]) -> list[Caption]:
    """Return definitions, their clauses, examples and synonyms, as captions of the kind "defined"."""
    captions: dict[str, Caption] = {}
    for sense in senses:
        synset = sense.synset
        whole = "; ".join(synset.definition)
        for text in (whole, *synset.definition, *synset.examples, *synset.lemmas, f"{sense.word}, {whole}"):
            captions.setdefault(text, Caption(text, sense.classes, "defined"))
    return list(captions.values())


def flag_names(emojis: Sequence[Emoji], senses: Iterable[Sense], synsets: Iterable[Synset]) -> list[Caption]:
    """Return labels of country flags: the country's other names, and its adjective ("Brazilian flag")."""
    adjectives: defaultdict[str, list[str]] = defaultdict(list)
    for synset in synsets:
        if synset.definition and (match := _OF_COUNTRY.match(synset.definition[0])):
            adjectives[match[1].lower()] += synset.lemmas
    countries = {_country(emoji) for emoji in emojis}
    captions: dict[str, Caption] = {}
    for sense in senses:
        if sense.word not in countries:
            continue
        # Another flag's own name is excluded (Taiwan's synset has the lemma China).
        for country in (name for name in sense.synset.lemmas if name.lower() not in countries - {sense.word}):
            texts = [f"flag of {country}", f"{country} flag", f"the flag of {country}"]
            for adjective in adjectives.get(country.lower(), ()):
                texts += [f"{adjective} flag", f"the {adjective} flag"]
            for text in texts:
                captions.setdefault(text, Caption(text, sense.classes, "label"))
    return list(captions.values())


def with_definitions(classes: Tensor, senses: Iterable[Sense]) -> Tensor:
    """Return the classes' unit vectors moved towards the definitions of their names; float32 [m, 384]."""
    definitions = torch.zeros_like(classes)
    for sense in senses:
        if sense.named:
            definitions[list(sense.classes)] += sense.definition
    return F.normalize(classes + WEIGHT * F.normalize(definitions, dim=1), dim=1)


def _names(emojis: Sequence[Emoji]) -> dict[str, set[int]]:
    names: defaultdict[str, set[int]] = defaultdict(set)
    for row, emoji in enumerate(emojis):
        if country := _country(emoji):
            names[country] = {row}
            continue
        for text in (prompt(emoji), emoji.label, *emoji.shortcodes):
            for name in (text.lower(), _SUFFIX.sub("", text.lower())):
                names[name].add(row)
    return names


def _country(emoji: Emoji) -> str | None:
    return emoji.label.removeprefix("flag: ").lower() if emoji.is_country_flag else None


def _tags(emojis: Sequence[Emoji]) -> dict[str, set[int]]:
    tags: defaultdict[str, set[int]] = defaultdict(set)
    for row, emoji in enumerate(emojis):
        for tag in emoji.tags:
            tags[tag.lower()].add(row)
    return tags
