"""The results of `bench.scaling`, the laws that fit them, and their extrapolation to sizes that were not measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.index_quality import DIM
from bench.pages.charts import Chart, svg
from builder.indexing.index_key import choose
from builder.sizes import format_size, parse_size
from promptsearch.system.cpus import available_cores

FITTED_FROM = 100_000  # vectors: from here on indices are of codes
PLANNED = {"10M": 10_000_000, "100M": 100_000_000, "1B": 1_000_000_000}
BUDGETS = {"10M": "16G", "100M": "64G", "1B": "256G"}  # --max-memory of the builder

# Of a picture, beside its vector and its place in the index.
ITEM = 310  # bytes in items.sqlite, fields and words: measured on the million pictures of bench.service_speed
THUMBNAIL = 9_000  # bytes of WebP of a picture full of detail, about; the drawings of bench.builder_speed have 1,700
CPU_SECONDS = 0.075  # to read, decode, thumbnail, encode and store: bench/results/builder-speed.md
# Pictures a second (PNG, ViT-B/32) of a GPU with so many cores, whose decoding it waits for: measured on an H100,
# bench/results/gpu-speed.md. A cheaper GPU waits for them as well.
GPU_RATE, GPU_CORES = 777, 16
GRAPH = 2 * 32 * 4 + 100  # bytes a vector of Milvus's HNSW with M=32, beside the vector: links, and fields in memory
NODE = 64e9  # bytes of memory of one of Milvus's query nodes, of which four fifths are filled

# Dollars: round figures near the list prices of large clouds. Put your own in.
CORE_HOUR, MEMORY_HOUR, DISK_MONTH, GPU_HOUR = 0.04, 0.005, 0.08, 0.5  # memory and disk: a gigabyte
MONTH = 730  # hours
CORES = 8  # of a machine that serves


@dataclass(frozen=True)
class Growth:
    """The measurements of one size: `built` as `index_quality.make` returns it, `answers` by kind of query."""

    count: int
    built: dict[str, Any]
    answers: dict[str, dict[str, float]]

    def line(self) -> str:
        """Return the row of the table."""
        built, size = self.built, format_size(2 * DIM * self.count)
        cells = [
            f"{self.count:,}",
            f"`{built['key']}`",
            size,
            format_size(built["bytes"]),
            *_answer_cells(self.answers),
        ]
        cells += [f"{built['seconds']:.0f} s", format_size(built["peak"])]
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Peer:
    """One side of the comparison with clip-retrieval."""

    side: str
    size: int
    cost: dict[str, float]
    answers: dict[str, dict[str, float]]

    def line(self) -> str:
        """Return the row of the table."""
        name = {"ours": "ours", "peer": "clip-retrieval"}[self.side]
        cost = [f"{self.cost['seconds']:.0f} s", format_size(int(self.cost["peak"]))]
        return f"| {' | '.join([name, format_size(self.size), *_answer_cells(self.answers), *cost])} |"


def _answer_cells(answers: dict[str, dict[str, float]]) -> list[str]:
    return [f"{kind['recall']:.3f} in {kind['median']:.2f} ms ({kind['p95']:.2f})" for kind in answers.values()]


@dataclass(frozen=True)
class Law:
    """y of n vectors, its greatest error at the fitted sizes, and its error at the last size if fitted without it."""

    of: Callable[[float], float]
    text: str
    off: float
    predicted: float


def linear(counts: Sequence[int], values: Sequence[float]) -> Law:
    """Fit the law `a + b * n` by least squares of relative errors."""

    def fit(some: slice) -> tuple[float, float]:
        n, y = np.asarray(counts[some], float), np.asarray(values[some], float)
        a, b = np.linalg.lstsq(np.stack([1 / y, n / y], axis=1), np.ones(len(n)), rcond=None)[0]
        return float(a), float(b)

    def law(a: float, b: float) -> Callable[[float], float]:
        return lambda n: a + b * n

    a, b = fit(slice(None))
    return Law(law(a, b), f"{a:.3g} + {b:.3g}·n", *_errors(law(a, b), law(*fit(slice(-1))), counts, values))


def power(counts: Sequence[int], values: Sequence[float]) -> Law:
    """Fit the law `a * n^b` by least squares of the logarithms."""

    def fit(some: slice) -> tuple[float, float]:
        b, a = np.polyfit(np.log(counts[some]), np.log(values[some]), 1)
        return float(np.exp(a)), float(b)

    def law(a: float, b: float) -> Callable[[float], float]:
        return lambda n: a * n**b

    a, b = fit(slice(None))
    return Law(law(a, b), f"{a:.3g}·n^{b:.2f}", *_errors(law(a, b), law(*fit(slice(-1))), counts, values))


def _errors(
    whole: Callable[[float], float],
    without: Callable[[float], float],
    counts: Sequence[int],
    values: Sequence[float],
) -> tuple[float, float]:
    off = max(abs(whole(n) / y - 1) for n, y in zip(counts, values, strict=True))
    return off, without(counts[-1]) / values[-1] - 1


def laws(growth: Sequence[Growth]) -> dict[str, Law]:
    """Return the laws of size and time, fitted to the measurements."""
    fitted = [size for size in growth if size.count >= FITTED_FROM]
    counts = [size.count for size in fitted]
    return {
        "index, bytes": linear(counts, [size.built["bytes"] for size in fitted]),
        "building, CPU seconds": linear(counts, [size.built["seconds"] for size in fitted]),
        "a text, ms": power(counts, [size.answers["texts"]["median"] for size in fitted]),
        "a picture, ms": power(counts, [size.answers["images"]["median"] for size in fitted]),
    }


def planned(fits: dict[str, Law]) -> Iterator[str]:
    """Yield the lines of the plan for sizes beyond the measured range."""
    for name, count in PLANNED.items():
        plan = choose(count, DIM, parse_size(BUDGETS[name]))
        index, search = fits["index, bytes"].of(count), fits["a text, ms"].of(count)
        disk = count * (2 * DIM + ITEM + THUMBNAIL) + index
        building, gpu = fits["building, CPU seconds"].of(count) / 3600, count / GPU_RATE / 3600
        encoding = count * CPU_SECONDS / 3600
        memory = 1.25 * index + 2e9
        month = MONTH * (CORES * CORE_HOUR + memory / 1e9 * MEMORY_HOUR) + disk / 1e9 * DISK_MONTH
        once = min(gpu * (GPU_HOUR + GPU_CORES * CORE_HOUR), encoding * CORE_HOUR) + building * CORE_HOUR
        cells = [
            name,
            f"`{plan.key}`",
            f"{gpu:,.1f} h of a GPU with {GPU_CORES} cores, or {encoding:,.0f} h of a core",
            f"{building:,.1f} h of a core, {format_size(plan.peak_bytes)} at most",
            f"{format_size(int(index))} in memory, {format_size(int(disk))} on disk",
            f"{search:.0f} ms",
            f"${once:,.0f} once, ${month:,.0f} a month",
        ]
        yield f"| {' | '.join(cells)} |"


def in_milvus() -> Iterator[str]:
    """Yield the lines of the plan in Milvus, whose query nodes hold vectors and graph in memory."""
    for name, count in PLANNED.items():
        held = count * (2 * DIM + GRAPH)
        nodes = max(1, int(np.ceil(held / (0.8 * NODE))))
        month = MONTH * nodes * (CORES * CORE_HOUR + NODE / 1e9 * MEMORY_HOUR)
        yield f"| {name} | {format_size(held)} | {nodes} of {NODE / 1e9:.0f} GB | ${month:,.0f} a month |"


_PAGE = """# Scaling

Written by `python -m bench.scaling {sizes}` on {cores} cores, in one run. Its docstring
describes the vectors (synthetic, with CLIP's statistics; texts out of the pictures' distribution) and the measurements.

## Measured

Queries one by one, on one thread, scores included. Times of building are the processor's, of all cores together.

| vectors | index | its vectors | its size | texts: recall@10 in median (95th percentile) | pictures | built in | peak |
|---|---|---|---|---|---|---|---|
{growth}

![growth](../bench/results/scaling.svg)

## The laws that fit it

From {least:,} vectors on; below, indices are of other kinds. The last column is the error of the law of the smaller
sizes at {largest:,} vectors, one step beyond them.

| of n vectors | law | off by at most | predicts the largest size |
|---|---|---|---|
{laws}

## clip-retrieval's way, on the same {largest:,} vectors

Its inference writes partitions, its `index` step gives them to autofaiss with clip-retrieval's defaults (4 GB for the
index, 16 GB to build it); ours is the builder's `index` step with `--max-memory 4G`, whose time includes the tuning to
a recall of 0.98. Separate processes, from start to end; searched in turns, theirs mapped as in its service.

| | index | texts: recall@10 in median (95th percentile) | pictures | CPU time | peak memory |
|---|---|---|---|---|---|
{peers}

Ours takes {seconds:.2f} times the processor's time and {peak:.2f} times the memory to build, and {size:.3f} times the
memory to serve.

## 10 million, 100 million, a billion pictures

**Extrapolated**, with the laws above and these figures a picture: {vector:,} bytes of vector, {item} of items,
{thumbnail:,} of thumbnail; {cpu:.0f} ms of a core to decode and encode it with ViT-B/32, or a GPU for {gpu:,} a
second, as fast as the {gpu_cores} cores beside it decode ([measured](../bench/results/gpu-speed.md): the GPU waits).
Dollars: a core {core} an hour, a GB of memory {memory} an hour, a GB of disk {disk} a month, a GPU {gpu_hour} an hour;
a machine of {machine} cores serves. These are constants of `bench/pages/scaling_page.py`: replace them by yours.

| pictures | index | encoding | building the index | serving takes | a text's search | money |
|---|---|---|---|---|---|---|
{plan}

The recall is not extrapolated: the builder tunes every index to it, and records what it reached. Encoding is divided
among any number of machines (`--runner spark`), and more searches a second are more replicas over the same files.

The same in Milvus, with its graph (HNSW, M=32) over vectors in half precision, all in memory:

| pictures | in memory | query nodes | money |
|---|---|---|---|
{milvus}

## Which engine

- **Files, one machine**: up to about 100 million. The index stays a few gigabytes, and of the vectors a few hundred are
  read for a query, from an SSD. Replicas share the files, or have copies of them.
- **Files, one large machine**: up to a billion, if a search may take a tenth of a second and a build a day or more.
- **Milvus**: beyond that, or if one disk, or one machine's time to build, is too little. It takes the memory above.
"""


def page(growth: Sequence[Growth], peers: Sequence[Peer], sizes: str) -> str:
    """Return the page."""
    fits = laws(growth)
    ours, theirs = peers
    return _PAGE.format(
        sizes=sizes,
        cores=available_cores(),
        growth="\n".join(size.line() for size in growth),
        least=FITTED_FROM,
        largest=growth[-1].count,
        laws="\n".join(f"| {name} | {law.text} | {law.off:.0%} | {law.predicted:+.0%} |" for name, law in fits.items()),
        peers="\n".join(side.line() for side in peers),
        seconds=ours.cost["seconds"] / theirs.cost["seconds"],
        peak=ours.cost["peak"] / theirs.cost["peak"],
        size=ours.size / theirs.size,
        vector=2 * DIM,
        item=ITEM,
        thumbnail=THUMBNAIL,
        cpu=1000 * CPU_SECONDS,
        gpu=GPU_RATE,
        gpu_cores=GPU_CORES,
        core=CORE_HOUR,
        memory=MEMORY_HOUR,
        disk=DISK_MONTH,
        gpu_hour=GPU_HOUR,
        machine=CORES,
        plan="\n".join(planned(fits)),
        milvus="\n".join(in_milvus()),
    )


def plot(growth: Sequence[Growth]) -> str:
    """Return the charts as an SVG document."""

    def points(of: Callable[[Growth], float]) -> list[tuple[float, float]]:
        return [(size.count, of(size)) for size in growth]

    return svg(
        [
            Chart(
                "A search",
                "vectors",
                "milliseconds, median",
                {kind: points(lambda size, kind=kind: size.answers[kind]["median"]) for kind in ("texts", "images")},  # type: ignore[misc]
                log_x=True,
                log_y=True,
            ),
            Chart(
                "Recall@10",
                "vectors",
                "share",
                {kind: points(lambda size, kind=kind: size.answers[kind]["recall"]) for kind in ("texts", "images")},  # type: ignore[misc]
                log_x=True,
            ),
            Chart(
                "Size",
                "vectors",
                "megabytes",
                {
                    "index": points(lambda size: size.built["bytes"] / 1e6),
                    "vectors": points(lambda size: 2 * DIM * size.count / 1e6),
                },
                log_x=True,
                log_y=True,
            ),
            Chart(
                "Building",
                "vectors",
                "seconds of CPU",
                {"index": points(lambda size: size.built["seconds"])},
                log_x=True,
                log_y=True,
            ),
        ]
    )
