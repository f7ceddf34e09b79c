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
OWN = {"indices", "models", ".git", "work"}  # folders that a workspace does not share
START = 180.0  # seconds that a demo may take to serve, its build included


def make_workspace(folder: Path) -> Path:
    """Create a workspace: links to everything in the checkout, an empty `indices/`, and `models/` with links."""
    folder.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in OWN:
            (folder / entry.name).symlink_to(entry)
    (folder / "indices").mkdir()
    (folder / "models").mkdir()
    (folder / "models" / "emoji").symlink_to(ROOT / "models" / "emoji")
    return folder


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free just now."""
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
        """Return standard output and errors so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str) -> str:
        """Wait until the output matches the pattern; return its first group."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            if match := re.search(pattern, self.output):
                return match[1]
            assert self.process.poll() is None, f"it ended before it printed {pattern!r}:\n{self.output}"
            time.sleep(0.1)
        raise AssertionError(f"it did not print {pattern!r} within {START:.0f} s:\n{self.output}")

    def interrupt(self) -> int:
        """Send SIGINT to all of the command's processes, as Ctrl-C in a terminal does; return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=30)


@contextmanager
def running(command: list[str], folder: Path, log: Path) -> Iterator[Running]:
    """Run a command in `folder` for this block; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, start_new_session=True,
            # A runner that was itself started in the background has Ctrl-C switched off, which is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
