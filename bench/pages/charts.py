"""Line charts as SVG, as many beside and below each other as there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0a7d4f", "#b3401f", "#2b5fb3", "#8a6d00")
WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 44, 48  # margins

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Lines by name. Axes begin at 0 unless they are logarithmic."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Points]
    log_x: bool = False
    log_y: bool = False

    def draw(self) -> str:
        """Return the SVG elements of the chart."""
        xs = [x for points in self.lines.values() for x, _ in points]
        ys = [y for points in self.lines.values() for _, y in points]
        across = _Axis.over(xs, self.log_x, LEFT, WIDTH - RIGHT)
        up = _Axis.over(ys, self.log_y, HEIGHT - BOTTOM, TOP)
        frame = f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"
        parts = [
            f'<path d="{frame}" fill="none" stroke="#555"/>',
            f'<text x="{LEFT}" y="18" font-weight="bold">{escape(self.title)}</text>',
            f'<text x="{LEFT}" y="{TOP - 8}" fill="#555">{escape(self.y)}</text>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(self.x)}</text>',
        ]
        for x in sorted(set(xs)) if self.log_x else across.ticks():
            at = across.place(x)
            parts.append(f'<text x="{at:.0f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{_short(x)}</text>')
        for y in up.ticks():
            at = up.place(y)
            parts.append(f'<path d="M{LEFT} {at:.0f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.0f}" text-anchor="end">{_short(y)}</text>')
        for number, (name, points) in enumerate(self.lines.items()):
            parts += _line(name, [(across.place(x), up.place(y)) for x, y in points], COLOURS[number])
        return "\n".join(parts)


def svg(charts: Sequence[Chart], columns: int = 2) -> str:
    """Return an SVG document of the charts in so many columns."""
    width, height = WIDTH * columns, HEIGHT * math.ceil(len(charts) / columns)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, chart in enumerate(charts):
        row, column = divmod(number, columns)
        parts.append(f'<g transform="translate({WIDTH * column} {HEIGHT * row})">\n{chart.draw()}\n</g>')
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    log: bool
    start: float  # in pixels
    end: float

    @classmethod
    def over(cls, values: Sequence[float], log: bool, start: float, end: float) -> _Axis:
        if log:
            return cls(min(values) / 1.15, max(values) * 1.15, True, start, end)
        return cls(0, 1.1 * max(values), False, start, end)

    def place(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        share = ((math.log(value) if self.log else value) - low) / (high - low)
        return self.start + (self.end - self.start) * share

    def ticks(self) -> list[float]:
        """Return round values between the ends."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
        else:
            power = 10.0 ** math.floor(math.log10(self.high))
            step = next(size * power for size in (0.1, 0.2, 0.5, 1) if self.high / (size * power) <= 8)
            ticks = [number * step for number in range(9)]
        return [tick for tick in ticks if self.low <= tick <= self.high]


def _line(name: str, places: Points, colour: str) -> list[str]:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    last_x, last_y = places[-1]
    return [
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<text x="{last_x:.0f}" y="{last_y - 8:.0f}" text-anchor="end" fill="{colour}">{escape(name)}</text>',
    ]


def _short(value: float) -> str:
    """Format 1,000 as `1k`, a million as `1M`."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
