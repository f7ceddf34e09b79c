"""faiss, made to compute with what this machine's processor has. It is imported from here.

Its wheel brings an OpenBLAS (0.3.15, of 2021) that chooses its kernels by the processor's model. For one that it does
not know it takes those of 2004: a quarter of the speed, for all that is trained, added, rotated or scanned many at a
time. So it is told which to take.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["faiss"]

# What OpenBLAS calls its kernels, and what a processor needs for them, as Linux calls it; the best first.
_KERNELS = {
    "SkylakeX": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "Haswell": {"avx2", "fma"},
}
CHOICE = "OPENBLAS_CORETYPE"  # the environment's variable; who has set it has chosen


def best_kernel(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The best for this processor; None where OpenBLAS is to choose: not Linux on x86-64, or older than 2013."""
    try:
        with cpuinfo.open(encoding="ascii", errors="replace") as lines:
            # One processor is enough, and with many the file is long.
            flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return None
    return next((name for name, needed in _KERNELS.items() if needed <= flags), None)


if CHOICE not in os.environ and (_best := best_kernel()) is not None:
    os.environ[CHOICE] = _best  # it is read when the library is loaded; and by what this process starts

import faiss  # noqa: E402
