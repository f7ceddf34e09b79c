"""The demo's pictures as an ordinary source: a folder of WebP files and a manifest with their prompts."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from ..emojis import Emoji, load_emojis
from ..styles import DEMO_STYLES, load_style
from .render import draw

log = logging.getLogger(__name__)

SIZE = 128  # pixels, square
WEBP = {"quality": 75, "alpha_quality": 80, "method": 6}
MANIFEST = "manifest.csv"
COLUMNS = ("image", "prompt", "style", "emoji", "group", "subgroup", "tags")


def write_pictures(work: Path, out: Path) -> int:
    """Draw every emoji without skin tones in the demo's styles; return how many pictures were written.

    `out` gets `images/<style>/<hexcode>.webp` (RGBA, lossy) and the manifest, whose `image` is relative to `out` and
    whose `tags` are joined by commas.
    """
    emojis = load_emojis(work)
    rows = []
    for style in DEMO_STYLES:
        folder = out / "images" / style
        folder.mkdir(parents=True, exist_ok=True)
        arts = {art.key: art for art in load_style(style, emojis, work) if art.variant == art.key}
        for emoji in emojis:
            if emoji.key in arts:
                path = folder / f"{emoji.key}.webp"
                draw(arts[emoji.key], SIZE).save(path, "WEBP", **WEBP)
                rows.append(_row(emoji, style, path.relative_to(out)))
        log.info("%s: %d pictures", style, len(arts))
    with (out / MANIFEST).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def prompt(emoji: Emoji) -> str:
    """Return the label in natural words, where CLDR writes 'flag: Japan', 'woman: bald' or 'family: man, boy'."""
    head, _, rest = emoji.label.partition(": ")
    if not rest:
        return emoji.label
    listed = " and ".join(rest.rsplit(", ", 1))
    match head, rest:
        case ("flag", _):
            return f"flag of {rest}"
        case ("keycap", _):
            return f"keycap {rest}"
        case ("family", _):
            return f"family of {listed}"
        case ("kiss" | "couple with heart", _):
            return f"{head}, {listed}"
        case (_, "bald"):
            return f"bald {head}"
        case (_, "facing right"):
            return f"{head}, {rest}"
    return f"{head} with {rest}"


def _row(emoji: Emoji, style: str, image: Path) -> dict[str, str]:
    return {
        "image": image.as_posix(),
        "prompt": prompt(emoji),
        "style": style,
        "emoji": emoji.character,
        "group": emoji.group,
        "subgroup": emoji.subgroup,
        "tags": ", ".join(emoji.tags),
    }
