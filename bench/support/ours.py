"""Our service while it runs: requests to it, and measurements of its process."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

import httpx
import numpy as np
from numpy.typing import NDArray

from bench.support.equations import EQUATIONS, solve
from bench.support.serving import Service, serving

LIMIT = 20  # results of a search
MOST = 200  # results of a request

# The service's own program, which also prints the time when its imports are done.
_LAUNCH = "import time, service.__main__ as program; print('imported', time.monotonic(), flush=True); program.main()"


@dataclass(frozen=True)
class Ours:
    """A running service of ours, and requests to it."""

    service: Service

    @property
    def port(self) -> int:
        """Return the port that the service listens on."""
        return int(self.service.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Return the process id of the service."""
        return self.service.process.pid

    @staticmethod
    def text(text: str, kind: str = "images") -> bytes:
        """Return the request of a search by text."""
        return get(f"/search/{kind}?q={quote_plus(text)}&limit={LIMIT}")

    @staticmethod
    def upload(picture: bytes) -> bytes:
        """Return the request of a search by an uploaded picture."""
        part = "--part\r\nContent-Disposition: form-data; name="
        fields = f'{part}"limit"\r\n\r\n{LIMIT}\r\n{part}"image"; filename="a"\r\n\r\n'.encode()
        body = fields + picture + b"\r\n--part--\r\n"
        return (
            f"POST /search/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=part\r\n\r\n"
        ).encode() + body

    def vector(
        self, stored: NDArray[np.float16], *, text: str | None = None, picture: bytes | None = None
    ) -> NDArray[np.float64]:
        """Return the vector of a text or a picture, float64 [embedding_dim]: see `bench.support.equations`."""
        address, results = f"{self.service.url}/search/images", []
        if picture is None:
            answer = httpx.get(address, params={"q": text or "", "limit": MOST})
        else:
            answer = httpx.post(address, data={"limit": MOST}, files={"image": picture})
        while True:
            page = answer.raise_for_status().json()
            results += page["results"]
            if len(results) >= EQUATIONS * stored.shape[1] or page["next"] is None:
                break
            answer = httpx.get(address, params={"cursor": page["next"], "limit": MOST})
        return solve(
            stored, [result["settings"]["seed"] for result in results], [result["score"] for result in results]
        )

    def stages(self) -> dict[str, float]:
        """Return the seconds spent in each stage of a search so far."""
        metrics = self.service.get("/metrics").text
        sums = re.findall(r'^prompt_search_stage_seconds_sum{stage="(.+)"} (\S+)$', metrics, re.M)
        return {stage: float(seconds) for stage, seconds in sums}


def get(target: str) -> bytes:
    """Return a whole GET request."""
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


@contextmanager
def ours(work: Path, flags: Sequence[str]) -> Iterator[Ours]:
    """Run a service that writes its logs into a new folder in `work`."""
    with tempfile.TemporaryDirectory(dir=work) as folder, serving(Path(folder), flags) as service:
        yield Ours(service)


def memory(process: int) -> dict[str, int]:
    """Return resident bytes: all, those without a file, and those of a collection's mapped files."""
    sizes = {"resident": 0, "anonymous": 0, "collection": 0}
    file = ""
    for line in Path(f"/proc/{process}/smaps").read_text(encoding="utf-8").splitlines():
        first, _, rest = line.partition(" ")
        if not first.endswith(":"):  # a mapping: addresses, permissions, offset, device, inode, file
            file = line.split(maxsplit=5)[5] if len(line.split(maxsplit=5)) == 6 else ""
        elif first in ("Rss:", "Anonymous:"):
            size = 1024 * int(rest.split()[0])
            sizes["resident" if first == "Rss:" else "anonymous"] += size
            if first == "Rss:" and file.endswith((".npy", ".faiss", ".sqlite")):
                sizes["collection"] += size
    return sizes


def seconds_to_start(flags: Sequence[str]) -> float:
    """Return the seconds from the end of the imports until `/readyz` answers 200."""
    command = [sys.executable, "-c", _LAUNCH, "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        imported, address = 0.0, ""
        while not address:
            words = process.stdout.readline().split()
            assert words or process.poll() is None, "the service did not start"
            if words[:1] == ["imported"]:
                imported = float(words[1])
            elif words[-1:] and words[-1].startswith("http://"):
                address = words[-1]
        while httpx.get(f"{address}/readyz").status_code != 200:
            time.sleep(0.01)
        return time.monotonic() - imported
    finally:
        process.terminate()
        process.communicate()
