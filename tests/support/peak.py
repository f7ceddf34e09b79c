"""A process that builds one index and prints the memory it took: `python -m tests.support.peak FOLDER DIM BUDGET`.

VmHWM is getrusage's ru_maxrss without the share that a process inherits from its parent.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from builder.indexing.index import index_vectors


def peak() -> int:
    """Return the peak of resident bytes of this process."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    folder, dim, budget = sys.argv[1:]
    before = peak()
    info = index_vectors(Path(folder), "images", int(dim), int(budget), 0.98)
    sys.stdout.write(json.dumps({"info": asdict(info), "took": peak() - before}))
