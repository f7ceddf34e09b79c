"""A checkout in which `make` and the documentation's commands run without touching the real one's collections."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = {"indices", "models", ".git", "work"}  # what a workspace has for itself, or not at all
START = 180.0  # seconds that a demo may take to serve, its build included


def make_workspace(folder: Path) -> Path:
    """Everything of the checkout by link, but an empty `indices/`, and `models/` whose bundles are links."""
    folder.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in OWN:
            (folder / entry.name).symlink_to(entry)
    (folder / "indices").mkdir()
    (folder / "models").mkdir()
    (folder / "models" / "emoji").symlink_to(ROOT / "models" / "emoji")
    return folder


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class Running:
    """A command whose standard output and errors are collected in a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, once the output has it."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            if found := re.search(pattern, self.output):
                return found[1]
            assert self.process.poll() is None, f"ended before it said {pattern!r}:\n{self.output}"
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} was not said in {START:.0f} s:\n{self.output}")

    def interrupt(self) -> int:
        """What Ctrl-C in a terminal does: SIGINT to all of the command's processes. Returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=30)


@contextmanager
def running(command: list[str], folder: Path, log: Path) -> Iterator[Running]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
