"""Hostile inputs, one after the other, against the service with the demo's model.

`python -m bench.robustness` builds a small collection in `work/bench/robustness`, serves it and writes
`bench/results/robustness.md`. For each input it reads

- the longest time that `/healthz` took meanwhile, asked over and over on one connection: what the event loop was held,
  and what the machine took for other things;
- the peak of the process's resident memory above what it had before (`VmHWM`, which is reset for each input);
- the time until the answer, and the answer.
"""

from __future__ import annotations

import io
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image

from bench.support.ours import Ours, ours

RESULTS = Path("bench/results/robustness.md")
WORK = Path("work/bench/robustness")
TIMEOUT = 120.0  # seconds
MEBIBYTE = 2**20
SIDE = 7060  # pixels: 50 million in all, the limit
CONNECTIONS = 1500  # more than a process may usually open
PICTURES = 40  # of the demo

Attack = Callable[[Ours], list[int]]  # returns the statuses of the answers


@dataclass(frozen=True)
class Measured:
    """One hostile input: seconds, bytes and statuses."""

    name: str
    healthz: float
    memory: int
    seconds: float
    statuses: list[int]


def json_body(route: str, body: bytes) -> Attack:
    """Return the attack that posts this body as JSON."""

    def attack(service: Ours) -> list[int]:
        headers = {"Content-Type": "application/json"}
        url = f"{service.service.url}{route}"
        return [httpx.post(url, content=body, headers=headers, timeout=TIMEOUT).status_code]

    return attack


def uploads(content: bytes, count: int = 1) -> Attack:
    """Return the attack that uploads this picture so many times at once."""

    def attack(service: Ours) -> list[int]:
        def upload(_: int) -> int:
            url = f"{service.service.url}/search/images"
            return httpx.post(url, files={"image": content}, timeout=TIMEOUT).status_code

        with ThreadPoolExecutor(count) as clients:
            return list(clients.map(upload, range(count)))

    return attack


def idle_connections(service: Ours) -> list[int]:
    """Open connections that send nothing, then search on a new one."""
    with ExitStack() as connections:
        for _ in range(CONNECTIONS):
            with suppress(OSError):
                connections.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT))
        return [service.service.get("/search/images", q="fox").status_code]


def declared(service: Ours) -> list[int]:
    """Declare a body of ten gigabytes, and send none of it."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as connection:
        connection.sendall(b"POST /search/images HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
        return [int(connection.recv(100).split()[1])]


def repeated(start: bytes, part: bytes, end: bytes, size: int) -> bytes:
    """Return JSON of about `size` bytes that is mostly `part`."""
    return start + part * (size // len(part)) + end


def png(pixels: Image.Image, **options: object) -> bytes:
    """Return a picture as PNG."""
    file = io.BytesIO()
    pixels.save(file, "PNG", **options)
    return file.getvalue()


def empty_chunks(count: int) -> bytes:
    """Return a PNG of 8 x 8 pixels with so many chunks that hold nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return head + chunk(b"IDAT", b"") * count + chunk(b"IDAT", zlib.compress(bytes(200))) + chunk(b"IEND", b"")


def attacks() -> dict[str, Attack]:
    """Return every hostile input by name."""
    keys = b"{%s}" % b",".join(b'"k%d":0' % number for number in range(600_000))
    palette = png(Image.new("P", (SIDE, SIDE)), transparency=0)
    return {
        "8 MB of keys": json_body("/search/images", keys),
        "20 MB of empty lists": json_body("/search/images", repeated(b'{"terms":[', b"[],", b"[]]}", 19 * MEBIBYTE)),
        "20 MB of ids to `/metadata`": json_body("/metadata", repeated(b'{"ids":[', b"1,", b"1]}", 19 * MEBIBYTE)),
        "1 MB of keys": json_body("/search/images", keys[: 1_000_000 - 9] + b":0}"),
        "1 MB of `or` conditions": json_body(
            "/search/images", repeated(b'{"filter":{"or":[', b"{},", b"{}]}}", 1_000_000)
        ),
        "1 MB of empty lists": json_body("/search/batch", repeated(b'{"queries":[', b"[],", b"[]]}", 1_000_000)),
        "1 MB of brackets": json_body("/knn-service", b"[" * 1_000_000),
        "1 MB of wrong numbers": json_body(
            "/knn-service", repeated(b'{"embedding_input":[', b'"a",', b'"a"]}', 1_000_000)
        ),
        "10 GB declared, nothing sent": declared,
        f"{CONNECTIONS:,} idle connections, then a search": idle_connections,
        "a palette of 50 million pixels": uploads(palette),
        "the same, four at once": uploads(palette, 4),
        "RGBA of 50 million pixels, four at once": uploads(png(Image.new("RGBA", (SIDE, SIDE))), 4),
        "20 MB of empty PNG chunks": uploads(empty_chunks(1_600_000)),
    }


@contextmanager
def watched(service: Ours) -> Iterator[list[float]]:
    """Collect the seconds that `/healthz` takes while the block runs."""
    took: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=TIMEOUT) as client:
            while not stop.is_set():
                started = time.monotonic()
                client.get(f"{service.service.url}/healthz").raise_for_status()
                took.append(time.monotonic() - started)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join(TIMEOUT)


def resident(process: int, what: str) -> int:
    """Return `VmRSS` or `VmHWM` of a process in bytes."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return 1024 * int(re.findall(rf"{what}:\s+(\d+) kB", status)[0])


def measure(service: Ours, name: str, attack: Attack) -> Measured:
    """Run one attack."""
    Path(f"/proc/{service.pid}/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
    before = resident(service.pid, "VmRSS")
    with watched(service) as took:
        started = time.monotonic()
        statuses = attack(service)
        seconds = time.monotonic() - started
    return Measured(name, max(took, default=0.0), resident(service.pid, "VmHWM") - before, seconds, statuses)


def build(folder: Path) -> Path:
    """Build the collection that is served, unless it is there; return the indices folder."""
    indices = folder / "indices"
    if not (indices / "robustness" / "current").exists():
        pictures = folder / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        for path in sorted(Path("builder/demo/emoji/images").glob("*/*.webp"))[:PICTURES]:
            (pictures / path.name).write_bytes(path.read_bytes())
        command = ["build", "folder", str(pictures), "--model", "models/emoji", "--collection", "robustness"]
        subprocess.run([sys.executable, "-m", "builder", *command, "--indices", str(indices)], check=True)
    return indices


def page(results: list[Measured], base: int) -> str:
    """Return the page of results in Markdown."""
    rows = [
        f"| {one.name} | {1000 * one.healthz:.0f} ms | {one.memory / MEBIBYTE:.0f} MiB | {one.seconds:.2f} s "
        f"| {', '.join(map(str, sorted(one.statuses)))} |"
        for one in results
    ]
    return "\n".join([
        "# Hostile inputs",
        "",
        "Made by `python -m bench.robustness`, whose text says what is measured. The service with the demo's model "
        f"took {base / MEBIBYTE:.0f} MiB before; {os.cpu_count()} cores, whose load was {os.getloadavg()[0]:.1f} at "
        "the end.",
        "",
        "| input | longest `/healthz` | peak memory above that | until the answer | status |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ])  # fmt: skip


def main() -> None:
    """Measure everything and write the page."""
    WORK.mkdir(parents=True, exist_ok=True)
    flags = ["--models", "models", "--indices", str(build(WORK)), "--cache", str(WORK / "cache")]
    with ours(WORK, flags) as service:
        service.service.get("/search/images", q="fox").raise_for_status()
        uploads(png(Image.new("RGB", (512, 512))))(service)
        base = resident(service.pid, "VmRSS")
        results = []
        for name, attack in attacks().items():
            results.append(measure(service, name, attack))
            print(results[-1], flush=True)
    RESULTS.write_text(page(results, base), encoding="utf-8")


if __name__ == "__main__":
    main()
