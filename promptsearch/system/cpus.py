"""The CPU cores that this process may use: its affinity, and the CPU quota of its control groups.

A container with `--cpus 2` on a 64-core machine sees 64 cores. Threads on all of them would use up a period's quota in
its first milliseconds and then be paused until the next period, so every answer would be late.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may keep busy, at least 1. `root`: the folder of `proc` and `sys`."""
    allowed = len(os.sched_getaffinity(0))
    # Rounded down: a thread above the quota is paused for the rest of every period, and the others wait for it.
    return max(1, min([allowed, *(int(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of this process's control groups and their ancestors."""
    for controllers, group in _memberships(root):
        if controllers:  # version 1: one tree for each set of controllers
            if "cpu" not in controllers.split(","):
                continue
            mounts = [root / "sys/fs/cgroup" / name for name in (controllers, "cpu")]
        else:  # version 2: one tree; below `unified` if version 1 is mounted, too
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        for mount in mounts:
            # In a container the path may be the host's while the mount begins at the container's group.
            for folder in (PurePosixPath(group.lstrip("/")), *PurePosixPath(group.lstrip("/")).parents):
                quota = _quota(mount / folder)
                if quota is not None:
                    yield quota


def _memberships(root: Path) -> Iterator[tuple[str, str]]:
    """Yield controllers (empty for version 2) and group of each line of /proc/self/cgroup."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        yield controllers, group


def _quota(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split() or [
        *_read(folder / "cpu.cfs_quota_us").split(),
        *_read(folder / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = (float(word) for word in words)  # "max" and -1 mean no quota
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
