"""The captions that the text tower learns to distinguish: texts, and the emojis that each describes."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..emojis import Emoji
from ..pictures.pictures import prompt

TEMPLATES = ("a {}", "an emoji of a {}", "a picture of a {}", "{} emoji", "the {}", "a drawing of {}")
COMPOSED = 60_000  # two-word captions drawn; duplicates count once


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and the classes that it is true of (row numbers of the emoji list, in order).

    `kind` is "label" for a text that names one class, "tag" for one word, "composed" for two tags together.
    """

    text: str
    classes: tuple[int, ...]
    kind: str


def make_captions(emojis: Sequence[Emoji], adjectives: frozenset[str], seed: int) -> list[Caption]:
    """Return labels, short codes, templates, tags and pairs of tags, each text once."""
    captions: dict[str, Caption] = {}
    for row, emoji in enumerate(emojis):
        for text in names(emoji):
            captions.setdefault(text, Caption(text, (row,), "label"))
    index = word_index(emojis)
    for word, rows in index.items():
        captions.setdefault(word, Caption(word, tuple(sorted(rows)), "tag"))
    for caption in composed(emojis, index, adjectives, seed):
        captions.setdefault(caption.text, caption)
    return list(captions.values())


def names(emoji: Emoji) -> list[str]:
    """Return the texts that mean this emoji alone: its prompt, label, short codes, and its prompt in templates."""
    plain = prompt(emoji)
    texts = [plain, emoji.label.lower(), *emoji.shortcodes]
    if emoji.is_country_flag:
        country = emoji.label.removeprefix("flag: ")
        texts += [country, f"{country} flag", f"the flag of {country}", f"{country} national flag"]
    texts += [template.format(plain) for template in TEMPLATES]
    texts += [f"{plain}, {tag}" for tag in emoji.tags]
    return list(dict.fromkeys(texts))


def word_index(emojis: Iterable[Emoji]) -> dict[str, set[int]]:
    """Return each tag, label word, group and subgroup, with the rows of the classes that carry it."""
    index: defaultdict[str, set[int]] = defaultdict(set)
    for row, emoji in enumerate(emojis):
        for text in words(emoji):
            index[text].add(row)
        for text in (emoji.group, emoji.subgroup):
            index[text].add(row)
    return dict(index)


def words(emoji: Emoji) -> list[str]:
    """Return the tags of an emoji and the words of its label, lower case, each once."""
    label = re.findall(r"[^\W\d_]{2,}", emoji.label.lower())
    return list(dict.fromkeys([*(tag.lower() for tag in emoji.tags), *label]))


def composed(
    emojis: Sequence[Emoji], index: dict[str, set[int]], adjectives: frozenset[str], seed: int
) -> Iterable[Caption]:
    """Return pairs of words: of one emoji ("sad cat"), or a foreign adjective before an emoji's word ("happy hammer").

    A pair describes the classes that carry both words or, if there are none, those that carry the noun.
    """
    rng = random.Random(seed)
    describing = sorted(word for word in index if word in adjectives)
    for _ in range(COMPOSED):
        emoji = emojis[rng.randrange(len(emojis))]
        own = words(emoji)
        noun = rng.choice(own)
        first = rng.choice(describing) if rng.random() < 0.4 else rng.choice(own)
        if first == noun:
            continue
        rows = index[first] & index[noun] or index[noun]
        text = rng.choice(("{} {}", "{} {}", "a {} {}", "very {} {}", "{1} that is {0}")).format(first, noun)
        yield Caption(text, tuple(sorted(rows)), "composed")
