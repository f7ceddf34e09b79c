"""The kernels that faiss computes with, on processors of several kinds and on this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promptsearch.system.faiss_blas import CHOICE, best_kernel

AVX2 = "fpu sse2 avx avx2 fma"
AVX512 = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (AVX512, "SkylakeX"),
        (AVX2, "Haswell"),
        (f"{AVX2} avx512f avx512cd", "Haswell"),  # Knights Landing: the kernels need more of AVX-512 than that
        ("fpu sse2 avx", None),
    ],
)
def test_best_kernel_depends_on_cpu_flags(tmp_path: Path, flags: str, expected: str | None) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: avx2\nflags\t\t: {flags}\n\nprocessor\t: 1\n", encoding="ascii")
    assert best_kernel(cpuinfo) == expected


def test_no_kernel_is_chosen_on_other_systems(tmp_path: Path) -> None:
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd\n", encoding="ascii")
    assert best_kernel(tmp_path / "arm") is None
    assert best_kernel(tmp_path / "none") is None


@pytest.mark.parametrize(
    "module", ["promptsearch.engines.faiss_index", "builder.indexing.index_file", "builder.encode.runners.spark_index"]
)
def test_faiss_uses_the_chosen_kernels_in_any_import_order(module: str) -> None:
    best = best_kernel()
    if best is None:
        pytest.skip("nothing is chosen on this processor")
    assert _taken(module) == best


def test_choice_of_the_user_is_kept() -> None:
    if best_kernel() is None:
        pytest.skip("nothing is chosen on this processor")
    assert _taken("promptsearch.engines.faiss_index", **{CHOICE: "Nehalem"}) == "Nehalem"


def _taken(module: str, **environment: str) -> str:
    """Return the kernels that faiss's own OpenBLAS reports; numpy's, which knows more kernels, reports first."""
    code = f"import numpy, sys; print('numpy', file=sys.stderr, flush=True); import {module}"
    inherited = {name: value for name, value in os.environ.items() if name != CHOICE}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "OPENBLAS_VERBOSE": "2", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stderr
    kernels = re.findall(r"^Core: (\w+)", printed.split("numpy", 1)[1], re.MULTILINE)
    assert kernels, printed
    return str(kernels[-1])
