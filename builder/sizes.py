"""Amounts of memory and disk as people write them: `4G`, `1.5 GB`."""

from __future__ import annotations

import re

UNITS = "BKMGT"


def parse_size(text: str) -> int:
    """Bytes: a number with one of B, K, M, G, T, each 1024 times the one before; raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([BKMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"{text!r} is no amount of memory: write a number and its unit, as in 4G or 512M")
    return int(float(match[1]) * 1024 ** UNITS.index(match[2].upper()))


def format_size(size: float) -> str:
    """The same for people: `512 B`, `1.5 MB`."""
    units = iter(UNITS)
    unit = next(units)
    while size >= 1024 and unit != UNITS[-1]:
        size, unit = size / 1024, next(units)
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}B"
