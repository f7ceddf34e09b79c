"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promptsearch.system.locks import exclusive_lock
from tests.support.workspace import ROOT

HOLD = """
import sys
from pathlib import Path
from promptsearch.system.locks import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_lock_is_held_until_the_process_is_killed(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / ".name.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError), exclusive_lock(path, wait=False):
            pytest.fail("two processes hold the lock")
        process.kill()
        process.wait()
    with exclusive_lock(path, wait=False):
        assert path.exists()


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / ".name.lock"
    with pytest.raises(RuntimeError), exclusive_lock(path):
        raise RuntimeError
    with exclusive_lock(path, wait=False), pytest.raises(BlockingIOError), exclusive_lock(path, wait=False):
        pytest.fail("the lock is held twice")


def test_lock_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    with exclusive_lock(path):
        assert path.read_text() == "content"
