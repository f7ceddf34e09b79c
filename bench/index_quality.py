"""Recall, size and query time of our indices and of autofaiss's own defaults at the same memory.

`python -m bench.index_quality 100k 1M` builds both from the same vectors, each in a separate process, searches them in
turns and writes `bench/results/index-quality.md` and `.svg`.

The vectors are synthetic, with the statistics of CLIP ViT-B/32's: unit length, 512 dimensions, and

- a cone for pictures and another for texts: half of a vector's square is its kind's mean direction, so two pictures
  have a cosine of 0.5 on average, and the two directions' own cosine is 0.34, so a picture and a text have 0.17;
- content of a decaying spectrum (the standard deviation of the i-th principal direction falls as i to the -0.4) in
  clusters of two levels: 200 topics, and 50 pictures a cluster on average, with sizes from few to many;
- a text shares so much of its content with its picture that their cosine is about 0.3, and no more. So texts are out of
  the pictures' distribution, and their nearest pictures are all far away.

Both search for the same 500 texts and 500 pictures, which neither was built from nor tuned with, one by one on one
thread. Ours answers from mapped files, scores included; autofaiss's index lies in memory. Recall is recall@10 against
an exact scan. autofaiss gets as many bytes for its index as ours took, the same memory to build, and otherwise its
defaults.

Ours is also searched with filters that leave a random 0.1 %, 1 %, 10 % and 50 % of the rows, in turns with no filter.
"""

from __future__ import annotations

from promptsearch.system.faiss_blas import faiss  # before autofaiss, which loads it, too

# isort: split
import argparse
import contextlib
import io
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from autofaiss import build_index
from numpy.typing import NDArray

from builder.indexing.index import index_vectors
from builder.sizes import format_size, parse_size
from builder.versions.vectors import VectorFile
from promptsearch.encoding.encoders import unit
from promptsearch.engines.faiss_index import VectorIndex
from promptsearch.engines.row_set import RowSet
from promptsearch.storage.manifest import FILES, IndexInfo

DIM = 512
TOPICS, PER_CLUSTER = 200, 50
TEXTS = 20_000  # prompts that belong to the pictures; what recall for texts is tuned with
QUERIES = 500  # of each kind
FILTERED = 200  # of them that are also searched with filters
COUNTS = {"10k": 10_000, "30k": 30_000, "100k": 100_000, "300k": 300_000, "1M": 1_000_000}
MEMORY = "2G"  # for building each
RECALL = 0.98
SHARES = (1.0, 0.5, 0.1, 0.01, 0.001)  # of the rows, that a filter leaves
RESULTS = Path("bench/results")
KEPT = Path("work/bench/index-quality")  # vectors and indices of the last run; delete them to measure new ones
SIDES = ("ours", "autofaiss")
WARM = 50  # queries of each kind that are not counted

Vectors = NDArray[np.float32]


class Synthetic:
    """Pictures and texts as the module's docstring describes them."""

    def __init__(self, count: int) -> None:
        self._random = random = np.random.default_rng(0)
        self._spread: Vectors = (np.arange(1, DIM + 1) ** -0.4).astype(np.float32)
        self._rotation: Vectors = np.linalg.qr(random.standard_normal((DIM, DIM)))[0].astype(np.float32)
        picture, other = np.linalg.qr(random.standard_normal((DIM, 2)))[0].T.astype(np.float32)
        self._picture: Vectors = picture
        self._text: Vectors = 0.34 * picture + (1 - 0.34**2) ** 0.5 * other
        clusters = max(TOPICS, count // PER_CLUSTER)
        topics = self._normal(TOPICS)
        of_topic = topics[random.integers(TOPICS, size=clusters)]
        self._centres: Vectors = 0.55**0.5 * of_topic + 0.45**0.5 * self._normal(clusters)
        shares = random.lognormal(size=clusters)
        self._shares = shares / shares.sum()

    def _normal(self, count: int) -> Vectors:
        return self._random.standard_normal((count, DIM), dtype=np.float32)

    def _content(self, latent: Vectors) -> Vectors:
        content: Vectors = latent * self._spread
        return unit(content @ self._rotation)

    def _latent(self, count: int) -> Vectors:
        chosen = self._random.choice(len(self._centres), size=count, p=self._shares)
        latent: Vectors = 0.75**0.5 * self._centres[chosen] + 0.25**0.5 * self._normal(count)
        return latent

    def pictures(self, count: int) -> Vectors:
        """Return unit vectors of pictures, float32 [count, DIM]."""
        return unit(self._picture + self._content(self._latent(count)))

    def texts(self, count: int) -> Vectors:
        """Return unit vectors of texts, float32 [count, DIM]."""
        own = self._content(self._normal(count))
        content: Vectors = 0.28 * self._content(self._latent(count)) + (1 - 0.28**2) ** 0.5 * own
        return unit(self._text + unit(content))


def prepare(folder: Path, count: int) -> None:
    """Write the files of both sides: vectors to index, texts to tune with, queries and the answers of an exact scan."""
    synthetic = Synthetic(count)
    with VectorFile(folder / FILES.vectors("images"), DIM) as file:
        for start in range(0, count, 50_000):
            file.append(synthetic.pictures(min(50_000, count - start)))
    with VectorFile(folder / FILES.vectors("prompts"), DIM) as file:
        file.append(synthetic.texts(TEXTS))
    stored = np.load(folder / FILES.vectors("images"), mmap_mode="r")
    for name, queries in (("texts", synthetic.texts(QUERIES)), ("images", synthetic.pictures(QUERIES))):
        np.savez(folder / f"{name}.npz", queries=queries, rows=_exact(stored, np.arange(count), queries))


def make(side: str, folder: Path, memory: int, size: int) -> dict[str, Any]:
    """Build one side's index; return its cost. Runs in a separate process, for its peak memory."""
    before, started = peak(), time.process_time()
    if side == "ours":
        info = index_vectors(folder, "images", DIM, memory, RECALL)
        key, setting, path = info.key, f"nprobe={info.nprobe}, {info.candidates} candidates", FILES.index("images")
        (folder / "info.json").write_text(json.dumps(asdict(info)))
    else:
        theirs, report = _autofaiss(folder, memory, size)
        key, setting, path = report["index_key"], report["index_param"], "autofaiss.faiss"
    seconds, most = time.process_time() - started, peak() - before
    if side != "ours":
        faiss.write_index(theirs, str(folder / path))
    size = (folder / path).stat().st_size
    return {"key": key, "setting": setting, "bytes": size, "seconds": seconds, "peak": most}


def queries_of(folder: Path, kind: str) -> tuple[Vectors, NDArray[np.int64]]:
    """Return queries, float32 [n, DIM], and their ten nearest pictures, int64 [n, 10]; `kind` is texts or images."""
    with np.load(folder / f"{kind}.npz") as file:
        return file["queries"], file["rows"]


def ours(folder: Path) -> VectorIndex:
    """Open our index in `folder`."""
    return VectorIndex.open(folder, "images", IndexInfo(**json.loads((folder / "info.json").read_text())), DIM)


def ask(folder: Path) -> dict[str, dict[str, Any]]:
    """Search both indices in turns, and ours with filters; runs in a separate process."""
    faiss.omp_set_num_threads(1)
    index = ours(folder)
    theirs = faiss.read_index(str(folder / "autofaiss.faiss"))  # in memory, with what it was tuned to

    def search(side: str, query: Vectors) -> NDArray[np.int64]:
        if side == "ours":
            return index.search(query, 10)[0]
        rows: NDArray[np.int64] = theirs.search(query[np.newaxis], 10)[1][0]
        return rows

    results: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
    for name in ("texts", "images"):
        queries, truth = queries_of(folder, name)
        answers = in_turns([partial(search, side) for side in SIDES], queries)
        for side, (rows, times) in zip(SIDES, answers, strict=True):
            results[side][name] = {**recall_of(rows, truth), **times_of(times)}
    return {**results, "filtered": _ask_filtered(folder, index)}


def in_turns(
    searches: Sequence[Callable[[Vectors], NDArray[np.int64]]], queries: Vectors
) -> list[tuple[list[NDArray[np.int64]], list[float]]]:
    """Return each search's answers and milliseconds, taken in turns: other load slows all alike."""
    for query in queries[:WARM]:  # what is mapped is read
        for search in searches:
            search(query)
    answers: list[tuple[list[NDArray[np.int64]], list[float]]] = [([], []) for _ in searches]
    for query in queries:
        for search, (rows, times) in zip(searches, answers, strict=True):
            started = time.perf_counter()
            rows.append(search(query))
            times.append(1000 * (time.perf_counter() - started))
    return answers


def recall_of(rows: Sequence[NDArray[np.int64]], truth: NDArray[np.int64]) -> dict[str, float]:
    """Return the recall@10."""
    hits = sum(len(np.intersect1d(answer, right)) for answer, right in zip(rows, truth, strict=True))
    return {"recall": hits / truth.size}


def times_of(times: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile of milliseconds."""
    return {"median": float(np.median(times)), "p95": float(np.quantile(times, 0.95))}


def _autofaiss(folder: Path, memory: int, size: int) -> tuple[Any, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as linked, contextlib.redirect_stderr(io.StringIO()):
        (Path(linked) / "vectors.npy").symlink_to((folder / FILES.vectors("images")).absolute())
        index, report = build_index(
            embeddings=linked,
            save_on_disk=False,
            max_index_memory_usage=f"{size}B",
            current_memory_available=f"{memory}B",
            verbose=logging.ERROR,
        )
    assert index is not None, "autofaiss built nothing"
    return index, report


def _ask_filtered(folder: Path, index: VectorIndex) -> dict[str, dict[float, dict[str, float]]]:
    """Return recall@10 and milliseconds by kind of query and share of rows; each query has every share in turn."""
    random = np.random.default_rng(3)
    selections = {share: RowSet(random.random(len(index)) < share) for share in SHARES if share < 1}
    stored = np.load(folder / FILES.vectors("images"), mmap_mode="r")
    results: dict[str, dict[float, dict[str, float]]] = {}
    for kind in ("texts", "images"):
        queries, truth = queries_of(folder, kind)
        queries, right = queries[:FILTERED], {1.0: truth[:FILTERED]}
        for share, selection in selections.items():
            right[share] = _exact(stored, selection.rows, queries)
        searches = [partial(_filtered, index, selections.get(share)) for share in SHARES]
        for share, (rows, times) in zip(SHARES, in_turns(searches, queries), strict=True):
            results.setdefault(kind, {})[share] = {**recall_of(rows, right[share]), **times_of(times)}
    return results


def _filtered(index: VectorIndex, selection: RowSet | None, query: Vectors) -> NDArray[np.int64]:
    return index.search(query, 10, selection)[0]


def _exact(stored: Any, rows: NDArray[np.int64], queries: Vectors) -> NDArray[np.int64]:
    """Return the ten nearest of these rows to each query."""
    heap = faiss.ResultHeap(len(queries), 10, keep_max=True)
    for start in range(0, len(rows), 50_000):
        block = rows[start : start + 50_000]
        scores, places = faiss.knn(queries, stored[block].astype(np.float32), 10, metric=faiss.METRIC_INNER_PRODUCT)
        heap.add_result(scores, block[places])
    heap.finalize()
    nearest: NDArray[np.int64] = heap.I
    return nearest


def peak() -> int:
    """Return the peak of resident bytes of this process."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@dataclass(frozen=True)
class Row:
    """One line of the table and one point of the plot for each kind of query."""

    count: str
    side: str
    result: dict[str, Any]

    def line(self) -> str:
        """Return the row of the table."""
        result = self.result
        cells = [self.count, self.side, f"`{result['key']}`, {result['setting']}", format_size(result["bytes"])]
        cells += [
            f"{result[kind]['recall']:.3f} in {result[kind]['median']:.2f} ms ({result[kind]['p95']:.2f})"
            for kind in ("texts", "images")
        ]
        cells += [f"{result['seconds']:.0f} s of CPU", format_size(result["peak"])]
        return f"| {' | '.join(cells)} |"

    def filtered(self) -> Iterator[str]:
        """Yield the lines of the table of filters."""
        for share in SHARES:
            cells = [self.count, f"{share:.1%}"]
            for measured in self.result["filtered"].values():
                times = measured[share]["median"] / measured[1.0]["median"]
                cells.append(f"{measured[share]['recall']:.3f} in {measured[share]['median']:.2f} ms ({times:.2f}×)")
            yield f"| {' | '.join(cells)} |"


def page(rows: Sequence[Row], pairs: dict[str, float]) -> str:
    """Return the page."""
    lines = [
        "# Quality of the indices",
        "",
        "Written by `python -m bench.index_quality " + " ".join(dict.fromkeys(row.count for row in rows)) + "`, "
        "whose docstring describes the vectors and the comparison.",
        f"Ours is the index of `--max-memory {MEMORY}`, "
        f"tuned to `--recall {RECALL}`; autofaiss's are its defaults with as many bytes for the index.",
        "Cosines of the vectors: " + ", ".join(f"{name} {value:.2f}" for name, value in pairs.items()) + ".",
        "",
        "| vectors | | index | size | texts: recall@10 in median (95th percentile) | pictures | built in | peak |",
        "|---|---|---|---|---|---|---|---|",
        *(row.line() for row in rows),
        "",
        "![recall and median time of a query](index-quality.svg)",
        "",
        "## With filters",
        "",
        "Ours: recall@10 among the rows that a filter leaves, and the median of a query (times that without a filter).",
        "",
        "| vectors | filter leaves | texts | pictures |",
        "|---|---|---|---|",
        *(line for row in rows if row.side == "ours" for line in row.filtered()),
        "",
    ]
    return "\n".join(lines)


def plot(rows: Sequence[Row]) -> str:
    """Return the plot as SVG: recall@10 over median milliseconds (logarithmic); texts hollow, pictures filled."""
    points = [(row, kind, row.result[kind]) for row in rows for kind in ("texts", "images")]
    low = min(float(point["recall"]) for _, _, point in points) - 0.02
    times = np.log10([point["median"] for _, _, point in points])
    left, right = np.floor(times.min() * 2) / 2, np.ceil(times.max() * 2) / 2

    def x(median: float) -> float:
        return 70 + 620 * float((np.log10(median) - left) / (right - left))

    def y(recall: float) -> float:
        return 340 - 300 * (recall - low) / (1 - low)

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="760" height="400" font-family="sans-serif" font-size="12">',
        '<rect width="760" height="400" fill="white"/><path d="M70 40V340H690" fill="none" stroke="#555"/>',
        '<text x="380" y="385" text-anchor="middle">median milliseconds a query (one thread)</text>',
        '<text x="20" y="25">recall@10; hollow: texts, filled: pictures</text>',
    ]
    parts += [
        f'<text x="{x(10**power):.0f}" y="358" text-anchor="middle">{10**power:.2g}</text>'
        for power in np.arange(left, right + 0.01, 0.5)
    ]
    parts += [
        f'<text x="62" y="{y(recall) + 4:.0f}" text-anchor="end">{recall:.2f}</text>'
        for recall in np.linspace(low, 1, 6).tolist()
    ]
    for row, kind, point in points:
        colour = "#0a7d4f" if row.side == "ours" else "#b3401f"
        fill = colour if kind == "images" else "white"
        at = f'cx="{x(point["median"]):.0f}" cy="{y(point["recall"]):.0f}"'
        parts.append(f'<circle {at} r="6" fill="{fill}" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{x(point["median"]) + 10:.0f}" y="{y(point["recall"]) + 4:.0f}">{row.side}, {row.count}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def kept(folder: Path, count: str, sides: Sequence[str] = SIDES) -> dict[str, dict[str, Any]]:
    """Build both sides' indices if they are missing; return their recorded costs."""
    record = folder / "made.json"
    built: dict[str, dict[str, Any]] = {}
    if record.is_file():
        built = json.loads(record.read_text())
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        prepare(folder, COUNTS[count])
    for side in sides:
        if side not in built:
            size = built["ours"]["bytes"] if side != "ours" else 0
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                built[side] = pool.submit(make, side, folder, parse_size(MEMORY), size).result()
            record.write_text(json.dumps(built))
            print(f"{count} {side}: built in {built[side]['seconds']:.0f} s of CPU time", flush=True)
    return built


def cosines(folder: Path) -> dict[str, float]:
    """Return the mean similarity of pairs of vectors."""
    pictures = np.load(folder / FILES.vectors("images"), mmap_mode="r")[:2000].astype(np.float32)
    texts = np.load(folder / FILES.vectors("prompts"), mmap_mode="r")[:2000].astype(np.float32)
    queries, right = queries_of(folder, "texts")
    stored = np.load(folder / FILES.vectors("images"), mmap_mode="r")
    best = np.vecdot(stored[right[:, 0]].astype(np.float32), queries)
    return {
        "two pictures": float(np.vecdot(pictures[::2], pictures[1::2]).mean()),
        "two texts": float(np.vecdot(texts[::2], texts[1::2]).mean()),
        "a picture and a text": float(np.vecdot(pictures, texts).mean()),
        "a text and its nearest picture": float(best.mean()),
    }


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", choices=COUNTS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows: list[Row] = []
    pairs: dict[str, float] = {}
    for count in arguments.counts:
        folder = KEPT / count
        built = kept(folder, count)
        pairs = cosines(folder)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            answers = pool.submit(ask, folder).result()
        for side in SIDES:
            result = {**built[side], **answers[side], "filtered": answers["filtered"]}
            rows.append(Row(count, side, result))
            print(rows[-1].line(), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "index-quality.md").write_text(page(rows, pairs), encoding="utf-8")
    (arguments.out / "index-quality.svg").write_text(plot(rows), encoding="utf-8")
    print(f"wrote {arguments.out / 'index-quality.md'}")


if __name__ == "__main__":
    main()
