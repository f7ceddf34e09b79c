"""Control groups as files: version 1 and 2, in a container and outside."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from promptsearch.system.cpus import available_cores

V1, V1_SELF = "sys/fs/cgroup/cpu,cpuacct", "5:cpu,cpuacct:/a/b\n4:memory:/x\n"
V2, V2_SELF = "sys/fs/cgroup", "0::/a/b\n"


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="ascii")
    return root


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the affinity of a larger machine than tests run on."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "max 100000\n"}, 64),
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "400000 100000\n"}, 4),
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "350000 100000\n"}, 3),
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "12800000 100000\n"}, 64),
        # The smallest on the way up holds.
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "800000 100000\n", f"{V2}/a/cpu.max": "200000 100000"}, 2),
        # In a container the mount is the group itself, whatever it is called outside.
        ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/docker/1f\n", f"{V2}/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": V1_SELF, f"{V1}/a/b/cpu.cfs_quota_us": "-1\n", f"{V1}/a/b/cpu.cfs_period_us": "100000\n"},
         64),
        ({"proc/self/cgroup": V1_SELF, f"{V1}/a/b/cpu.cfs_quota_us": "150000\n",
          f"{V1}/a/b/cpu.cfs_period_us": "50000\n"}, 3),
        ({"proc/self/cgroup": V1_SELF, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000\n"}, 5),
        ({"proc/self/cgroup": V1_SELF + V2_SELF, "sys/fs/cgroup/unified/a/cpu.max": "700000 100000\n"}, 7),
        ({"proc/self/cgroup": V2_SELF, f"{V2}/a/b/cpu.max": "what is this\n"}, 64),
        ({"proc/self/cgroup": "nonsense\n"}, 64),
    ],
)  # fmt: skip
def test_number_of_cores_follows_the_cpu_quota(tmp_path: Path, files: Mapping[str, str], expected: int) -> None:
    assert available_cores(write(tmp_path, files)) == expected
