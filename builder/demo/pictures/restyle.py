"""New drawings from old ones: an SVG with other colours, flat instead of shaded, or outlined.

An unknown style differs from the known styles in these aspects, so they are varied before training.
"""

from __future__ import annotations

import colorsys
import random
import re

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
_GRADIENT = re.compile(r"<(linearGradient|radialGradient)\b.*?</\1>", re.DOTALL)

Rgb = tuple[float, float, float]  # 0 to 1


def restyle(document: str, rng: random.Random) -> str:
    """Return a variant of an SVG document: random changes, and always other colours."""
    if rng.random() < 0.6:
        document = flatten(document)
    if rng.random() < 0.35:
        document = outline(document, rng)
    return recolour(document, rng)


def recolour(document: str, rng: random.Random) -> str:
    """Move each distinct colour by itself, a little in hue and more in saturation and brightness."""
    moved: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        colour = match[0].lower()
        if colour not in moved:
            hue, saturation, value = colorsys.rgb_to_hsv(*_parse(colour))
            hue = (hue + rng.gauss(0, 0.02)) % 1
            saturation = min(saturation * rng.uniform(0.7, 1.35), 1)
            value = min(value * rng.uniform(0.75, 1.25), 1)
            moved[colour] = _format(colorsys.hsv_to_rgb(hue, saturation, value))
        return moved[colour]

    return _COLOUR.sub(replace, document)


def flatten(document: str) -> str:
    """Give every stop of a gradient the mean colour of its stops: shading turns into one flat fill."""

    def replace(match: re.Match[str]) -> str:
        colours = [_parse(colour) for colour in _COLOUR.findall(match[0])]
        if not colours:
            return match[0]
        red, green, blue = (sum(channel) / len(colours) for channel in zip(*colours, strict=True))
        return _COLOUR.sub(_format((red, green, blue)), match[0])

    return _GRADIENT.sub(replace, document)


def outline(document: str, rng: random.Random) -> str:
    """Draw a dark line round every shape without an outline, 1 to 3 % of the picture wide."""
    opening, _, body = document.partition(">")
    size = float(opening.split('width="')[1].split('"')[0])
    grey = rng.uniform(0, 0.3)
    line = f'stroke="{_format((grey, grey, grey))}" stroke-width="{size * rng.uniform(0.01, 0.03):.2f}"'
    return f'{opening}><g {line} stroke-linejoin="round">{body.removesuffix("</svg>")}</g></svg>'


def _parse(colour: str) -> Rgb:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4))
    return red, green, blue


def _format(colour: Rgb) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in colour)
