"""How a collection's cost grows with its size, extrapolated to 10 million, 100 million and a billion pictures.

`python -m bench.scaling 10k 30k 100k 300k 1M` builds indices of synthetic vectors with CLIP's statistics
(`bench.index_quality` describes them: texts lie outside of the pictures' distribution), searches them for 500 texts
and 500 pictures on one thread, fits a power law to the measurements from 100k vectors on (below, indices are of other
kinds), and writes `docs/scaling.md` and `bench/results/scaling.svg`. The error of such a law is measured by
leaving out the largest size and predicting it.

At the largest size, clip-retrieval's own way is measured in the same run: the vectors in partitions, as its inference
writes them, given to its `index` step (autofaiss with clip-retrieval's defaults) in `.venv-peer`; and our builder's
`index` step on the same vectors. Both get the same queries in turns.

Figures beyond the largest size are extrapolated, and marked so on the page.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.index_quality import COUNTS, DIM, KEPT, Vectors, in_turns, kept, ours, queries_of, recall_of, times_of
from bench.pages.scaling_page import Growth, Peer, page, plot
from promptsearch.storage.manifest import FILES
from promptsearch.system.faiss_blas import faiss

PARTITION = 10_000  # vectors of a file of clip-retrieval's inference
PEER_PYTHON = Path(".venv-peer/bin/python")
INDEXING = """
import json, sys
from clip_retrieval.clip_index import quantize
json.JSONEncoder.default = lambda self, value: float(value)  # of today's numpy, which autofaiss's report stumbles over
quantize(sys.argv[1], sys.argv[2], "image", "4G", "16G", None)
"""


def ask(folder: Path) -> dict[str, dict[str, float]]:
    """Return recall and milliseconds of our index by kind of query; runs in a separate process."""
    faiss.omp_set_num_threads(1)
    index = ours(folder)
    results = {}
    for kind in ("texts", "images"):
        queries, truth = queries_of(folder, kind)
        [(rows, times)] = in_turns([lambda query: index.search(query, 10)[0]], queries)
        results[kind] = {**recall_of(rows, truth), **times_of(times)}
    return results


def measured(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Wait for a process; return the CPU seconds and peak resident bytes of it and its children."""
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{process.args!r} failed"
    return {"seconds": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}


def build_peer(folder: Path) -> dict[str, float]:
    """Build clip-retrieval's index of the same vectors in `folder`/peer; return its cost."""
    record = folder / "peer" / "made.json"
    if not record.is_file():
        shutil.rmtree(folder / "peer", ignore_errors=True)
        (folder / "peer" / "img_emb").mkdir(parents=True)
        stored = np.load(folder / FILES.vectors("images"), mmap_mode="r")
        for start in range(0, len(stored), PARTITION):
            part = folder / "peer" / "img_emb" / f"img_emb_{start // PARTITION:05}.npy"
            np.save(part, stored[start : start + PARTITION])
        command = [str(PEER_PYTHON), "-c", INDEXING, str(folder / "peer" / "img_emb"), str(folder / "peer")]
        record.write_text(json.dumps(measured(subprocess.Popen(command))))
    cost: dict[str, float] = json.loads(record.read_text())
    return cost


def build_ours(folder: Path) -> dict[str, float]:
    """Build our index in a separate process as well; return its cost from start to end."""
    record = folder / "own-process.json"
    if not record.is_file():
        code = (
            "import sys; from pathlib import Path; from builder.indexing.index import index_vectors\n"
            f"index_vectors(Path(sys.argv[1]), 'images', {DIM}, 4 << 30, 0.98)"
        )
        copied = folder / "own"
        shutil.rmtree(copied, ignore_errors=True)
        copied.mkdir()
        for kind in ("images", "prompts"):
            (copied / FILES.vectors(kind)).symlink_to((folder / FILES.vectors(kind)).absolute())
        record.write_text(json.dumps(measured(subprocess.Popen([sys.executable, "-c", code, str(copied)]))))
        shutil.rmtree(copied)
    cost: dict[str, float] = json.loads(record.read_text())
    return cost


def ask_both(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Search both indices in turns, by side and kind of query; clip-retrieval's is mapped, as in its service."""
    faiss.omp_set_num_threads(1)
    index = ours(folder)
    theirs = faiss.read_index(str(folder / "peer" / "image.index"), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)

    def peer(query: Vectors) -> NDArray[np.int64]:
        rows: NDArray[np.int64] = theirs.search(query[np.newaxis], 10)[1][0]
        return rows

    results: dict[str, dict[str, dict[str, float]]] = {"ours": {}, "peer": {}}
    for kind in ("texts", "images"):
        queries, truth = queries_of(folder, kind)
        answers = in_turns([lambda query: index.search(query, 10)[0], peer], queries)
        for side, (rows, times) in zip(results, answers, strict=True):
            results[side][kind] = {**recall_of(rows, truth), **times_of(times)}
    return results


def apart(what: Any, folder: Path) -> Any:
    """Run one measurement in a separate process; return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(what, folder).result()


def main() -> None:
    """Measure the sizes in the arguments, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", choices=COUNTS)
    parser.add_argument("--page", type=Path, default=Path("docs/scaling.md"))
    parser.add_argument("--plot", type=Path, default=Path("bench/results/scaling.svg"))
    arguments = parser.parse_args()
    growth = []
    for count in arguments.counts:
        folder = KEPT / count
        built = kept(folder, count, ("ours",))["ours"]
        growth.append(Growth(COUNTS[count], built, apart(ask, folder)))
        print(growth[-1].line(), flush=True)
    folder = KEPT / arguments.counts[-1]
    costs = {"ours": build_ours(folder), "peer": build_peer(folder)}
    sizes = {
        "ours": (folder / FILES.index("images")).stat().st_size,
        "peer": (folder / "peer" / "image.index").stat().st_size,
    }
    answers = apart(ask_both, folder)
    peers = [Peer(side, sizes[side], costs[side], answers[side]) for side in ("ours", "peer")]
    arguments.page.write_text(page(growth, peers, " ".join(arguments.counts)), encoding="utf-8")
    arguments.plot.write_text(plot(growth), encoding="utf-8")
    print(f"wrote {arguments.page} and {arguments.plot}")


if __name__ == "__main__":
    main()
