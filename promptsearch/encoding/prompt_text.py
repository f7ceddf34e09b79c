"""The text of a prompt that is embedded: its words, without instructions to the generator.

The prompt itself is kept and shown word for word. Query texts are embedded unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

PromptText = Literal["plain", "verbatim"]
CHOICES: tuple[PromptText, ...] = ("plain", "verbatim")
RULES_VERSION = 1  # of plain texts; the manifest contains it, and every change of `plain` increases it

_TAGS = re.compile(r"<(?:lora|lyco|locon|hypernet)\s*:[^<>]*>", re.IGNORECASE)
_BREAK = re.compile(r"(?<!\w)BREAK(?!\w)")  # AUTOMATIC1111's; lower-case "break" is a word
_SPACES = re.compile(r"\s+")
_COMMAS = re.compile(r" ?,(?: ?,)*")  # after spaces have become one
_PARTNERS = {")": "(", "]": "[", "}": "{"}
_BRACKETS = frozenset("()[]{}")
_WEIGHT = re.compile(r":\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*")
_LONGEST_WEIGHT = 16  # characters


def rules(choice: PromptText) -> str:
    """Return how a manifest names the embedded texts: `plain-1` by these rules, or `verbatim`."""
    return choice if choice == "verbatim" else f"{choice}-{RULES_VERSION}"


def text_to_embed(prompt: str, choice: PromptText) -> str:
    """Return the text of a prompt that is embedded: the prompt itself, or its plain text."""
    return prompt if choice == "verbatim" else plain(prompt)


def plain(prompt: str) -> str:
    r"""Return a prompt without instructions to the generator.

    Left out are `<lora:…>`, `<lyco:…>`, `<locon:…>` and `<hypernet:…>` tags, `BREAK`, and brackets that belong
    together, with the weights in them: `(a:1.2)`, `((a))`, `[a]` and `{a}` become `a`; `[a:b:0.5]` and `[a|b]` become
    `a b`. Escaped brackets, `\(` and `\)`, become brackets. Repeated commas and spaces become one. Brackets without a
    partner stay, and so does a prompt of which nothing would be left.
    """
    text = _without_brackets(_BREAK.sub(" ", _TAGS.sub(" ", prompt)))
    return _COMMAS.sub(",", _SPACES.sub(" ", text)).strip(" ,") or prompt


@dataclass
class _Open:
    """A bracket that waits for its partner, and the places of separators in it, but not in brackets within."""

    place: int
    colons: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)


def _without_brackets(text: str) -> str:
    """Replace pairs of brackets, weights and separators by spaces; linear in time."""
    characters = list(text)
    waiting: list[_Open] = []
    place = 0
    while place < len(text):
        character = text[place]
        if character == "\\" and text[place + 1 : place + 2] in _BRACKETS:
            characters[place] = ""
            place += 1  # the bracket is text
        elif character in "([{":
            waiting.append(_Open(place))
        elif waiting and character in ":|":
            (waiting[-1].colons if character == ":" else waiting[-1].bars).append(place)
        elif waiting and _PARTNERS.get(character) == text[waiting[-1].place]:
            _clear(characters, text, waiting.pop(), place)
        place += 1
    return "".join(characters)


def _clear(characters: list[str], text: str, opened: _Open, end: int) -> None:
    """Clear a pair of brackets, the weight before its end and, in square brackets, the separators of alternatives."""
    cleared = [opened.place, end]
    start = opened.colons[-1] if opened.colons else end
    has_weight = end - start <= _LONGEST_WEIGHT and _WEIGHT.fullmatch(text, start, end) is not None
    if has_weight:
        cleared += range(start, end)
    if text[opened.place] == "[":
        cleared += opened.bars
        cleared += opened.colons if has_weight else []
    for place in cleared:
        characters[place] = " "
