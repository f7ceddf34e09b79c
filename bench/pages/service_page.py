"""The results of `bench.service_speed`, as a page with plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.pages.charts import Chart, svg
from bench.support import peer
from bench.support.material import COUNTS
from promptsearch.system.cpus import available_cores


@dataclass
class Rounds:
    """A figure of each round for each service."""

    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float]) -> None:
        """Add the figures of a round."""
        for name, figure in figures.items():
            self.figures.setdefault(name, []).append(figure)

    def median(self, name: str) -> float:
        """Return the median of a figure over the rounds."""
        return float(np.median(self.figures[name]))

    def ratio(self, name: str, other: str) -> float:
        """Return the median of the rounds' ratios."""
        return float(np.median(np.divide(self.figures[name], self.figures[other])))


@dataclass
class Figures:
    """Everything that was measured; sections that were left out are empty."""

    alike: dict[str, tuple[float, float, int]] = field(default_factory=dict)  # least cosine; of other queries; how many
    memory: dict[str, dict[str, int]] = field(default_factory=dict)  # bytes
    texts: Rounds = field(default_factory=Rounds)  # p50 in ms
    pictures: Rounds = field(default_factory=Rounds)
    throughput: Rounds = field(default_factory=Rounds)  # a second
    stages: dict[str, float] = field(default_factory=dict)  # mean ms
    clients: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)  # requests a second, p50 in ms
    sizes: dict[str, list[tuple[float, float]]] = field(
        default_factory=dict
    )  # p50 in ms, requests a second: each round
    starts: list[float] = field(default_factory=list)  # seconds
    cached: float | None = None  # ms
    overload: dict[str, float] = field(default_factory=dict)
    steady: dict[int, dict[str, int]] = field(default_factory=dict)  # bytes after so many requests


@dataclass(frozen=True)
class Row:
    """A row of the table: a requirement, and what was measured."""

    what: str
    bar: str
    measured: str
    met: bool

    def line(self) -> str:
        """Return the row as Markdown."""
        return f"| {self.what} | {self.bar} | {self.measured} | {'yes' if self.met else '**no**'} |"


def rows(figures: Figures) -> list[Row]:
    """Return the rows that the figures are complete for."""
    return [*_compared(figures), *_alone(figures)]


def _compared(figures: Figures) -> list[Row]:
    if not figures.throughput.figures:
        return []
    texts, pictures, throughput, memory = figures.texts, figures.pictures, figures.throughput, figures.memory
    resident = {name: sizes["resident"] for name, sizes in memory.items()}
    table = [
        _at_most(
            "text search, 1 client, p50, against the peer", 1 / 6, texts.ratio("ours", "peer"),
            f"{texts.median('ours'):.1f} ms : {texts.median('peer'):.1f} ms", bar="1/6",
        ),
        _at_least(
            "text search, 32 clients, requests a second, against the peer", 15, throughput.ratio("ours", "peer"),
            f"{throughput.median('ours'):.0f} : {throughput.median('peer'):.1f}",
        ),
    ]  # fmt: skip
    for name, bar in (("ours", 0.6), ("int8", 0.35)):
        shown = f"{pictures.median(name):.0f} ms : {pictures.median('peer'):.0f} ms"
        what = f"image upload search, 1 client, p50, against the peer{_precision(name)}"
        table.append(_at_most(what, bar, pictures.ratio(name, "peer"), shown))
    for name, bar in (("ours", 0.4), ("int8", 0.25)):
        shown = f"{resident[name] / 1e6:.0f} MB : {resident['peer'] / 1e6:.0f} MB"
        what = f"resident memory, both encoders warm, against the peer{_precision(name)}"
        table.append(_at_most(what, bar, resident[name] / resident["peer"], shown))
    table.append(
        _at_most(
            "text search, 1 client, p50, against bare `session.run`, index search and re-score", 1.3,
            texts.ratio("ours", "bare"), f"{texts.median('ours'):.1f} ms : {texts.median('bare'):.1f} ms",
        )
    )  # fmt: skip
    table.append(
        _at_least(
            "text search, 32 clients, against the same in batches beside the same load generator", 0.85,
            throughput.ratio("ours", "bare"),
            f"{throughput.median('ours'):.0f} : {throughput.median('bare'):.0f} a second",
        )
    )  # fmt: skip
    return table


def _alone(figures: Figures) -> list[Row]:
    table = []
    if figures.cached is not None:
        table.append(Row("cached query, p50", "≤ 2 ms", f"{figures.cached:.2f} ms", figures.cached <= 2))
    if figures.starts:
        seconds = float(np.median(figures.starts))
        what = "start to ready with 1M vectors, after imports"
        table.append(Row(what, "≤ 3 s", f"{seconds:.1f} s", seconds <= 3))
    if figures.steady:
        first, last = min(figures.steady), max(figures.steady)
        sizes = [figures.steady[after]["anonymous"] for after in (last, first)]
        what = f"RssAnon after {last:,} requests against after {first:,}"
        table.append(_at_most(what, 1.05, sizes[0] / sizes[1], f"{sizes[0] / 1e6:.0f} MB : {sizes[1] / 1e6:.0f} MB"))
    if figures.overload:
        load = figures.overload
        other = {name for name in load if name.startswith("status ")} - {"status 200", "status 503"}
        measured = (
            f"{load['sent']:.0f} a second sent, {load['answered']:.0f} answered (capacity {load['capacity']:.0f}), "
            f"p50 {load['median']:.0f} ms, the slowest {load['longest']:.0f} ms of {load['deadline']:.0f} ms; "
            f"{load.get('status 503', 0):.0f} refused (p50 {load['refused in']:.1f} ms), "
            f"{len(other)} other statuses, {load['lost']:.0f} lost"
        )
        table.append(
            Row(
                f"ten times its capacity, for {load['seconds']:.0f} s",
                "accepted requests meet the deadline, the rest get 503, none is lost",
                measured,
                not other and not load["lost"] and load["longest"] <= load["deadline"],
            )
        )
    return table


def _precision(name: str) -> str:
    return ", int8" if name == "int8" else ", fp32"


def _at_most(what: str, most: float, ratio: float, shown: str, bar: str = "") -> Row:
    return Row(what, f"≤ {bar or f'{most:g}'}×", f"{ratio:.3f}× ({shown})", ratio <= most)


def _at_least(what: str, least: float, ratio: float, shown: str) -> Row:
    return Row(what, f"≥ {least:g}×", f"{ratio:.2f}× ({shown})", ratio >= least)


def charts(figures: Figures) -> list[Chart]:
    """Return the charts that the figures are complete for."""
    drawn = []
    if figures.clients:
        lines = {name: sorted(rates.items()) for name, rates in figures.clients.items()}
        drawn += [
            Chart(
                "Throughput of text searches", "clients", "requests a second",
                {name: [(clients, rate) for clients, (rate, _) in line] for name, line in lines.items()}, True, True,
            ),
            Chart(
                "How long a text search takes", "clients", "p50, ms",
                {name: [(clients, late) for clients, (_, late) in line] for name, line in lines.items()}, True, True,
            ),
        ]  # fmt: skip
    if figures.sizes:
        medians = {COUNTS[name]: np.median(rounds, axis=0).tolist() for name, rounds in figures.sizes.items()}
        drawn += [
            Chart("Growth with the collection, 1 client", "vectors", "p50, ms",
                  {"ours": [(count, late) for count, (late, _) in medians.items()]}, True),
            Chart("Growth with the collection, 32 clients", "vectors", "requests a second",
                  {"ours": [(count, rate) for count, (_, rate) in medians.items()]}, True),
        ]  # fmt: skip
    if figures.steady:
        points = {
            kind: [(after, sizes[kind] / 1e6) for after, sizes in figures.steady.items()]
            for kind in ("resident", "anonymous")
        }
        drawn.append(Chart("Memory under a mixture of requests", "requests answered", "MB", points))
    return drawn


def page(figures: Figures) -> str:
    """Return the page."""
    lines = [
        "# The service's speed",
        "",
        f"Written by `python -m bench.service_speed` on {available_cores()} cores, in one run. Its docstring describes "
        "the comparison;",
        f"the peer is clip-retrieval {peer.version()}.",
        "A ratio is the median of the rounds' ratios; the medians are beside it.",
        "",
        "| what | bar | measured | met |",
        "|---|---|---|---|",
        *(row.line() for row in rows(figures)),
        "",
    ]
    if figures.alike:
        cosines = ", ".join(
            f"{least:.6f} for {count} {kind} (between different queries {between:.3f} on average)"
            for kind, (least, between, count) in figures.alike.items()
        )
        lines += [f"Least cosine of the two services' vectors of the same query: {cosines}.", ""]
    lines += _tables(figures)
    lines += ["![throughput, latency, growth and memory](service-speed.svg)", ""]
    return "\n".join(lines)


def _tables(figures: Figures) -> list[str]:
    lines: list[str] = []
    cells: list[tuple[str, ...]]
    if figures.memory:
        kinds = ("resident", "weights", "collection", "anonymous")
        cells = [
            (name, *(f"{sizes[kind] / 1e6:.0f} MB" if kind in sizes else "" for kind in kinds))
            for name, sizes in figures.memory.items()
        ]
        head = ("memory, both encoders warm", "resident", "the weights alone", "mapped of the collection", "of no file")
        lines += _table(head, cells)
    if figures.stages:
        cells = [(stage, f"{milliseconds:.2f}") for stage, milliseconds in figures.stages.items()]
        lines += _table(("a text search's time, 1 client", "mean ms"), cells)
    if figures.throughput.figures:
        cells = [
            (name, f"{figures.texts.median(name):.1f} ms", f"{figures.throughput.median(name):.1f}")
            for name in ("bare", "ours", "int8", "peer")
        ]
        lines += _table(("text searches", "1 client, p50", "32 clients, a second"), cells)
    if figures.clients:
        cells = [
            (f"{name}, {clients} clients", f"{rate:.1f}", f"{late:.1f}")
            for name, rates in figures.clients.items()
            for clients, (rate, late) in rates.items()
        ]
        lines += _table(("text searches", "a second", "p50, ms"), cells)
    if figures.sizes:
        medians = {name: np.median(rounds, axis=0) for name, rounds in figures.sizes.items()}
        cells = [(name, f"{late:.1f} ms", f"{rate:.0f}") for name, (late, rate) in medians.items()]
        lines += _table(("vectors", "1 client, p50", "32 clients, a second"), cells)
    return lines


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(row)} |" for row in cells),
        "",
    ]


def write(figures: Figures, folder: Path) -> str:
    """Write the page and its plots into the folder; return the page's text."""
    text = page(figures)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service-speed.md").write_text(text, encoding="utf-8")
    (folder / "service-speed.svg").write_text(svg(charts(figures)), encoding="utf-8")
    return text
