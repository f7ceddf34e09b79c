"""Programs that run until they are stopped, in processes of their own: their output, and what they come to say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 120.0  # seconds, on a busy machine


@dataclass(frozen=True)
class Running:
    """A running program and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """Return what the program has written so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait for a condition, as long as the program runs."""
        end = time.monotonic() + LIMIT
        while not done():
            assert self.process.poll() is None, f"it ended:\n{self.output}"
            assert time.monotonic() < end, f"it did not come to that:\n{self.output}"
            time.sleep(0.05)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the program has said something so often."""
        self.wait_until(lambda: self.output.count(text) >= times)

    def end(self, by: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the program alone; return its exit status."""
        self.process.send_signal(by)
        return self.process.wait(LIMIT)


@contextmanager
def running(module: str, *arguments: object, log: Path, cwd: Path = ROOT) -> Iterator[Running]:
    """Run `python -m module`; it and all that it started are killed at the end of the block, if they still run."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROMPT_SEARCH_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=cwd, env=environment, start_new_session=True,
            # A runner that was itself started in the background has Ctrl-C switched off, which is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(LIMIT)
