"""The picture sets: which picture of which set shows which emoji."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .emojis import Emoji, join_key
from .errors import SourceError
from .sources import FLUENT_3D, ICONIFY, Package

HELD_OUT = "twemoji"
DEMO_STYLES = ("noto", "fluent-emoji", "twemoji")
FLAG_STYLES = ("flag", "circle-flags", "flagpack", "cif")
FLUENT_3D_STYLE = "fluent-emoji-3d"
TRAINING_STYLES = (
    "noto", "noto-v1", "fluent-emoji-flat", "fluent-emoji", FLUENT_3D_STYLE, "fluent-emoji-high-contrast",
    "emojione", "emojione-monotone", "streamline-emojis", *FLAG_STYLES,
)  # fmt: skip
# The sets whose names come with hexcodes; their names serve to join the sets that have names only.
_NAMING_SETS = ("twemoji", "noto", "fluent-emoji-flat")


def package_of(style: str) -> Package:
    """Return the package of a style's pictures."""
    return FLUENT_3D if style == FLUENT_3D_STYLE else ICONIFY[style]


@dataclass(frozen=True, slots=True)
class Art:
    """One picture before it is drawn: an SVG document (`str`), or the path of a picture file.

    `key` is the emoji's own key, `variant` that of the picture (they differ for skin tones).
    """

    style: str
    key: str
    variant: str
    drawing: str | Path


def load_style(style: str, emojis: Iterable[Emoji], work: Path) -> list[Art]:
    """Return every picture of a style that shows a known emoji or a skin tone of one, in the emojis' order."""
    if style == FLUENT_3D_STYLE:
        return list(_fluent_3d(emojis, work))
    icons = _icons(style, work)
    keys = _flag_keys(icons) if style in FLAG_STYLES else _keys(style, icons, emojis, work)
    arts = []
    for emoji in emojis:
        for variant in (emoji.key, *emoji.skins):
            arts += [Art(style, emoji.key, variant, _document(icons, name)) for name in keys.get(variant, ())]
    return arts


def _keys(style: str, icons: dict[str, Any], emojis: Iterable[Emoji], work: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of the set's pictures by key: by the set's own hexcodes, else by name."""
    chars = _chars(style, work) or (_chars("fluent-emoji-flat", work) if style == "fluent-emoji" else {})
    if chars:
        return {key: (name,) for key, name in chars.items() if name in icons["icons"]}
    names = _names(list(emojis), work)
    keys: dict[str, tuple[str, ...]] = {}
    aliases = icons.get("aliases", {})
    for name in (*icons["icons"], *aliases):
        drawn = aliases[name]["parent"] if name in aliases else name
        key = names.get(plain_name(name))
        if key is not None and drawn in icons["icons"]:
            keys.setdefault(key, (drawn,))
    return keys


def plain_name(name: str) -> str:
    """Return one spelling for names of different sets.

    >>> plain_name("flag-for-Côte d’Ivoire"), plain_name("Flag: Japan")
    ('flag-côte-divoire', 'flag-japan')
    """
    name = re.sub(r"[’'“”.,!:()]", "", name.lower().replace("&", "and"))
    name = re.sub(r"[\s_-]+", "-", name)
    return re.sub(r"^flag-for-flag-|^flag-for-", "flag-", name)


def _names(emojis: list[Emoji], work: Path) -> dict[str, str]:
    """Return keys by plain name. Names with a hexcode take precedence over labels, labels over shortcodes."""
    names: dict[str, str] = {}
    spellings = [pair for naming in _NAMING_SETS for pair in _all_names(naming, work)]
    spellings += [(emoji.key, plain_name(emoji.label)) for emoji in emojis]
    spellings += [(emoji.key, plain_name(code)) for emoji in emojis for code in emoji.shortcodes]
    for key, name in spellings:
        names.setdefault(name, key)
    return names


def _all_names(style: str, work: Path) -> Iterable[tuple[str, str]]:
    chars = _chars(style, work)
    aliases = _icons(style, work).get("aliases", {})
    by_name: dict[str, list[str]] = {}
    for alias, target in aliases.items():
        by_name.setdefault(target["parent"], []).append(alias)
    for key, name in chars.items():
        for spelling in (name, *by_name.get(name, ())):
            yield key, plain_name(spelling)


def _flag_keys(icons: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the keys of country flags, named by ISO 3166 codes, some with their aspect ratio: `jp`, `jp-4x3`."""
    keys: dict[str, tuple[str, ...]] = {}
    for name in icons["icons"]:
        match = re.fullmatch(r"([a-z]{2})(-4x3|-1x1)?", name)
        if match:
            key = "-".join(f"{0x1F1E6 + ord(letter) - ord('a'):x}" for letter in match[1])
            keys[key] = (*keys.get(key, ()), name)
    return keys


def _document(icons: dict[str, Any], name: str) -> str:
    """Return the icon's body in a viewBox of its own size (the set's default if the icon has none)."""
    icon = icons["icons"][name]
    left, top = icon.get("left", 0), icon.get("top", 0)
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
    )


def _fluent_3d(emojis: Iterable[Emoji], work: Path) -> Iterable[Art]:
    """Return Microsoft's 3D renders, without those missing in its own set (country flags), which others drew."""
    microsoft = _chars("fluent-emoji-flat", work)
    files = {join_key(path.stem): path for path in sorted((FLUENT_3D.folder(work) / "assets").glob("*.webp"))}
    for emoji in emojis:
        for variant in (emoji.key, *emoji.skins):
            if variant in files and variant in microsoft:
                yield Art(FLUENT_3D_STYLE, emoji.key, variant, files[variant])


def _icons(style: str, work: Path) -> dict[str, Any]:
    path = ICONIFY[style].folder(work) / "icons.json"
    if not path.exists():
        raise SourceError(f"{path} is missing: run `python -m builder.demo fetch` first")
    icons: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return icons


def _chars(style: str, work: Path) -> dict[str, str]:
    """Return names by join key, from the set's `chars.json`; empty if the set has no such file."""
    table = json.loads((ICONIFY[style].folder(work) / "chars.json").read_text(encoding="utf-8"))
    return {join_key(hexcode): name for hexcode, name in table.items()}
