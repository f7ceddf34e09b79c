"""faiss with the right OpenBLAS kernels. Import it from here.

Its wheel contains OpenBLAS 0.3.15 of 2021, which chooses its kernels by the CPU's model. On CPUs it does not know, it
uses 2004-era kernels, four times slower for training, adding, rotating and batched scans. So the choice is made here.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["faiss"]

# OpenBLAS's names of kernels, and the CPU flags of Linux that they need; the fastest first.
_KERNELS = {
    "SkylakeX": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "Haswell": {"avx2", "fma"},
}
CHOICE = "OPENBLAS_CORETYPE"  # environment variable; a value set by the user is kept


def best_kernel(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Return the fastest kernels for this CPU; None, so that OpenBLAS chooses, elsewhere than on Linux and x86-64."""
    try:
        with cpuinfo.open(encoding="ascii", errors="replace") as lines:
            # The first CPU is enough; with many the file is long.
            flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return None
    return next((name for name, needed in _KERNELS.items() if needed <= flags), None)


if CHOICE not in os.environ and (_best := best_kernel()) is not None:
    os.environ[CHOICE] = _best  # read when the library is loaded, also by child processes

import faiss  # noqa: E402
