"""The service as its users start it: a separate process, reached over HTTP and ended by a signal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[3]
START = 60.0  # seconds to listen in, and to end in, on a busy machine
# A warning in a handler fails its request, as in every other test; SWIG's in faiss cannot be an error.
WARNINGS = ("-W", "error", "-W", "ignore:builtin type:DeprecationWarning")


@dataclass(frozen=True)
class Service:
    """A running `python -m service`."""

    url: str
    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def get(self, path: str, **parameters: str | int) -> httpx.Response:
        """Return the response to a GET request."""
        return httpx.get(self.url + path, params=parameters or None, timeout=START)

    def raw(self, target: str) -> httpx.Response:
        """Return the response to a GET of an unchanged target, whose dots and characters httpx would replace."""
        with httpx.Client() as client:
            return client.get(self.url, extensions={"target": target.encode()}, timeout=START)

    def errors(self) -> list[dict[str, Any]]:
        """Return the log lines on standard error."""
        return lines(self.stderr.read_text(encoding="utf-8"))

    def requests(self) -> list[dict[str, Any]]:
        """Return the log lines of requests, which follow the greeting."""
        logged = self.stdout.read_text(encoding="utf-8").partition("stops the service.\n\n")[2]
        return lines(logged[: logged.rfind("\n") + 1])  # without a line that is being written

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End the service with a signal; return its exit status."""
        self.process.send_signal(by)
        return self.process.wait(START)


def lines(logged: str) -> list[dict[str, Any]]:
    """Return the parsed lines of a log."""
    return [json.loads(line) for line in logged.splitlines()]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with these settings of the service and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROMPT_SEARCH_")}
    return {**kept, **(settings or {})}


@contextmanager
def serving(
    folder: Path,
    flags: Sequence[str],
    *,
    python: Sequence[str] = WARNINGS,
    settings: Mapping[str, str] | None = None,
    files: int | None = None,
) -> Iterator[Service]:
    """Run a service on a free port, with its output in `folder`; kill it if the test has not ended it.

    `files`: the number of files that it may open.
    """
    stdout, stderr = folder / "stdout", folder / "stderr"
    command = [sys.executable, *python, "-m", "service", "--port", "0", *flags]
    if files is not None:
        command = ["prlimit", f"--nofile={files}:{files}", *command]
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err, env=environment(settings))
    try:
        yield Service(_address(process, stdout, stderr), process, stdout, stderr)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(START)


def failing(flags: Sequence[str], settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a service that is expected to fail; return its output and exit status."""
    command = [sys.executable, *WARNINGS, "-m", "service", *flags]
    return subprocess.run(
        command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, check=False, timeout=START
    )


def _address(process: subprocess.Popen[bytes], stdout: Path, stderr: Path) -> str:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        if match := re.search(r"serving at (http://\S+)", stdout.read_text(encoding="utf-8")):
            return match[1]
        time.sleep(0.05)
    raise AssertionError(f"the service did not start:\n{stderr.read_text(encoding='utf-8')}")
