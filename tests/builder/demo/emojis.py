"""A few emoji classes, so that no package has to be fetched."""

from __future__ import annotations

from builder.demo.emojis import Emoji


def emoji(key: str, label: str, *tags: str, group: str = "animals & nature", subgroup: str = "mammal") -> Emoji:
    character = "".join(chr(int(part, 16)) for part in key.split("-"))
    return Emoji(key, character, label, tags, (label.lower(),), group, subgroup, ())


DOG = emoji("1f436", "dog face", "pet", "happy", "animal")
CAT = emoji("1f431", "cat face", "pet", "animal")
JAPAN = emoji("1f1ef-1f1f5", "flag: Japan", group="flags", subgroup="country flag")
POINTING = emoji("1f448", "backhand index pointing left", group="people & body", subgroup="finger pointing")
EMOJIS = (DOG, CAT, JAPAN, POINTING)
