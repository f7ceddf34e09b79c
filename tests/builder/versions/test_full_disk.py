"""A full disk ends a build with one line, and the next build resumes; on a separate small file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import source
from tests.support.drawing import as_bytes, picture

ROOT = Path(__file__).parents[3]
PICTURES = 40
# Kilobytes that the file system has, one after the other: it fills up in each step of a build before there are enough.
SIZES = (64, 192, 320, 512, 768)
ENOUGH = 16_384
SCRIPT = """
set -e
mount -t tmpfs -o size={first}k tmpfs "$1"
build() {{
  "$2" -m builder build manifest "$3" --model models/emoji --collection c --indices "$1" 2>&1 || echo "ended with $?"
}}
for size in {sizes} {enough}; do
  mount -o remount,size=${{size}}k "$1"
  echo "== $size"
  build "$@"
done
"$2" -m builder verify c --indices "$1"
"""


@pytest.fixture(scope="module")
def unshared() -> list[str]:
    """Return the beginning of a command that may mount a file system for itself."""
    command = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False).returncode
    ):
        if os.environ.get("CI"):
            pytest.fail("a file system cannot be mounted here, not even in a name space of its own")
        pytest.skip("a file system of its own takes util-linux and the right to mount one")
    return command


@pytest.mark.slow
def test_a_build_ends_on_a_full_disk_and_resumes_with_room(unshared: list[str], tmp_path: Path) -> None:
    folder = source.write(tmp_path / "pictures", rows=[f"{n}.png,picture {n},{n}," for n in range(PICTURES)])
    for number in range(PICTURES):
        (folder / f"{number}.png").write_bytes(as_bytes(picture(number, 200, 200)))
    (tmp_path / "indices").mkdir()
    script = SCRIPT.format(first=SIZES[0], sizes=" ".join(map(str, SIZES)), enough=ENOUGH)
    done = subprocess.run(
        [*unshared, "bash", "-c", script, "bash", str(tmp_path / "indices"), sys.executable, str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    parts = done.stdout.split("== ")[1:]
    full = [part for part in parts[:-1] if "ended with 1" in part]
    assert len(full) >= 3
    for part in full:
        lines = part.splitlines()
        assert lines[-2].startswith("error: the disk is full"), part
        assert "Traceback" not in part
    assert f"{PICTURES} images" in parts[-1]
    assert "all" in parts[-1].splitlines()[-1]
