"""Sizes in memory and on disk as text: `4G`, `1.5 GB`."""

from __future__ import annotations

import re

UNITS = "BKMGT"


def parse_size(text: str) -> int:
    """Return the bytes of a number with a unit of B, K, M, G, T (powers of 1024). Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([BKMGT])(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"expected a number with a unit, such as 4G or 512M, got {text!r}")
    return int(float(match[1]) * 1024 ** UNITS.index(match[2].upper()))


def format_size(size: float) -> str:
    """Return bytes as text: `512 B`, `1.5 MB`."""
    units = iter(UNITS)
    unit = next(units)
    while size >= 1024 and unit != UNITS[-1]:
        size, unit = size / 1024, next(units)
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}B"
