"""Our service in a process of its own, reached over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

TIMEOUT = 60.0  # seconds to start in, to answer in, and to end in


@dataclass(frozen=True)
class Service:
    """A running `python -m service`."""

    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str, **parameters: str | int) -> httpx.Response:
        """Return the answer to a GET request, whatever its status."""
        return httpx.get(self.url + path, params=parameters or None, timeout=TIMEOUT)


@contextmanager
def serving(folder: Path, flags: Sequence[str], checkout: Path | None = None) -> Iterator[Service]:
    """Run a service on a free port, with flags and without settings from the environment; its logs go into `folder`.

    `checkout` is the folder whose code it runs, the current one by default.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROMPT_SEARCH_")}
    command = [sys.executable, "-m", "service", "--port", "0", *flags]
    output, log = folder / "stdout", folder / "stderr"
    with output.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=checkout)
    try:
        yield Service(_url(process, output, log), process)
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(TIMEOUT)


def _url(process: subprocess.Popen[bytes], output: Path, log: Path) -> str:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        if match := re.search(r"serving at (http://\S+)", output.read_text(encoding="utf-8")):
            return match[1]
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start within {TIMEOUT:.0f} s:\n{log.read_text(encoding='utf-8')}")
