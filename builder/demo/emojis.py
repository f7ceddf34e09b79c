"""The classes: every emoji that emojibase lists, without skin tones, and the words people use for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SourceError
from .sources import EMOJIBASE

COMPONENT_GROUP = 2  # emojibase: skin tones and hair, which are no pictures of their own


@dataclass(frozen=True, slots=True)
class Emoji:
    """One class of pictures.

    `key` joins the sets (see `join_key`); `skins` are the keys of its skin-tone variants; `tags` and `shortcodes` are
    in emojibase's order, shortcodes with their underscores turned into spaces.
    """

    key: str
    character: str
    label: str
    tags: tuple[str, ...]
    shortcodes: tuple[str, ...]
    group: str
    subgroup: str
    skins: tuple[str, ...]

    @property
    def is_country_flag(self) -> bool:
        """Return whether the emoji is two regional indicators, such as Japan's flag."""
        return all(0x1F1E6 <= int(part, 16) <= 0x1F1FF for part in self.key.split("-"))


def join_key(hexcode: str) -> str:
    """Return the spelling of a hexcode that all sets share: lower case, dashes, no variation selector (FE0F).

    >>> join_key("2764-FE0F-200D-1F525")
    '2764-200d-1f525'
    """
    parts = hexcode.lower().replace("_", "-").split("-")
    return "-".join(part for part in parts if part != "fe0f")


def load_emojis(work: Path) -> list[Emoji]:
    """Return every emoji class in emojibase's (CLDR's) order.

    Raises:
        SourceError: the package was not fetched.
    """
    folder = EMOJIBASE.folder(work) / "en"
    if not folder.is_dir():
        raise SourceError(f"{folder} is missing: run `python -m builder.demo fetch` first")
    messages = _read(folder / "messages.json")
    groups = {entry["order"]: entry["message"] for entry in messages["groups"]}
    subgroups = {entry["order"]: entry["message"] for entry in messages["subgroups"]}
    shortcodes = [_read(folder / "shortcodes" / f"{name}.json") for name in ("emojibase", "cldr", "joypixels")]
    rows = [row for row in _read(folder / "data.json") if row.get("group") not in (None, COMPONENT_GROUP)]
    return [
        Emoji(
            key=join_key(row["hexcode"]),
            character=row["emoji"],
            label=row["label"],
            tags=tuple(row.get("tags", ())),
            shortcodes=_shortcodes(row["hexcode"], shortcodes),
            group=groups[row["group"]],
            subgroup=subgroups[row["subgroup"]],
            skins=tuple(join_key(skin["hexcode"]) for skin in row.get("skins", ())),
        )
        for row in sorted(rows, key=lambda row: row["order"])
    ]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _shortcodes(hexcode: str, tables: list[dict[str, Any]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for table in tables:
        codes = table.get(hexcode, [])
        for code in [codes] if isinstance(codes, str) else codes:
            found[code.replace("_", " ").replace("-", " ")] = None
    return tuple(found)
