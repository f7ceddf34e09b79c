"""Resident memory of the process after memory is freed, seen from outside."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import re, sys
from pathlib import Path
from promptsearch.system.malloc import limit_arenas

def resident():
    return 1024 * int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

if sys.argv[1] == "little":
    limit_arenas()
b"x" * 20_000_000  # freed at once: from then on glibc has blocks of that size on the heap
before = resident()
blocks = [b"x" * 10_000_000 for _ in range(10)]
last = blocks[-1]
del blocks
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's memory")
@pytest.mark.parametrize("how", ["little", "default"])
def test_freed_large_blocks_return_to_the_system(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60)
    kept = int(done.stdout)
    # One block of 10 MB is still in use; glibc by itself keeps all ten.
    assert kept < 30e6 if how == "little" else kept > 70e6
