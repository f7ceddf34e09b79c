"""How soon a running service answers with a picture that was just saved, renamed or deleted in a followed folder.

`make setup && python -m bench.watch_latency` writes `bench/results/watch-latency.md`. A folder of small pictures with
the metadata of AUTOMATIC1111 is followed by `builder build folder --watch` and served by a service. Vectors and
thumbnails (6 KB each) are put into the cache beforehand, so that only the changes are encoded, as in a collection that
has been built once. A change is timed from the end of the write until `GET /images/{id}` says so.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import numpy as np

from bench.support.serving import serving
from builder.encode.vector_cache import Cache, CachedPicture
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import unit
from promptsearch.storage.digests import digest_of
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import Manifest, current_version

RESULTS = Path("bench/results/watch-latency.md")
MODEL = Path("models/emoji")
COLLECTION = "followed"
COUNTS = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
THUMBNAIL = 6_000  # bytes
A_FOLDER = 1_000  # pictures
WORDS = (
    "castle",
    "fox",
    "snow",
    "night",
    "portrait",
    "forest",
    "river",
    "robot",
    "lantern",
    "harbour",
    "mountain",
    "cat",
)
WAIT = 3600.0  # seconds for the first build
CHANGE = 600.0  # seconds for a change


def picture(number: int) -> bytes:
    """Return a PNG of 8 by 8 pixels of one colour, with a prompt and settings of its own."""
    rng = np.random.default_rng(number)
    prompt = " ".join(rng.choice(WORDS, 8)) + f", number {number}"
    text = (
        f"{prompt}\nNegative prompt: blurry\nSteps: {20 + number % 5}, Sampler: Euler a, CFG scale: 7, Seed: {number}"
    )
    rows = b"".join(b"\0" + bytes((number >> 16 & 255, number >> 8 & 255, number & 255)) * 8 for _ in range(8))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)),
            (b"tEXt", b"parameters\0" + text.encode()),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )


def prepare(folder: Path, indices: Path, count: int) -> None:
    """Write the pictures, and what a first build would have encoded of them."""
    bundle, rng = Bundle.open(MODEL), np.random.default_rng(0)
    centres = rng.standard_normal((200, bundle.embedding_dim))
    with Cache(indices / COLLECTION, bundle) as cache:
        for start in range(0, count, A_FOLDER):
            place = folder / f"{start // A_FOLDER:04}"
            place.mkdir(parents=True)
            known = []
            for number in range(start, min(start + A_FOLDER, count)):
                content = picture(number)
                (place / f"{number:06}.png").write_bytes(content)
                vector = unit((centres[number % 200] + rng.standard_normal(bundle.embedding_dim)).astype(np.float32))
                known.append((digest_of(content), CachedPicture(vector.astype("<f2"), (8, 8), rng.bytes(THUMBNAIL))))
            cache.add_pictures(known)


@contextmanager
def following(folder: Path, indices: Path, log: Path) -> Iterator[None]:
    """Run a build that follows the folder; begin when it does."""
    command = [sys.executable, "-m", "builder", "build", "folder", str(folder), "--model", str(MODEL),
               "--collection", COLLECTION, "--indices", str(indices), "--watch"]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _until(lambda: "following" in log.read_text(encoding="utf-8"), process, log, WAIT)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _until(done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, limit: float) -> None:
    end = time.monotonic() + limit
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the build did not get there:\n{log.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.1)


def _seconds(client: httpx.Client, expected: dict[str, int]) -> float:
    """Return how long it takes until each of these images has its status."""
    started = time.monotonic()
    while time.monotonic() - started < CHANGE:
        if all(
            client.get(f"/images/{item_id('image', key)}").status_code == status for key, status in expected.items()
        ):
            return time.monotonic() - started
        time.sleep(0.02)
    raise RuntimeError(f"not served within {CHANGE:.0f} s: {expected}")


def changes(client: httpx.Client, folder: Path, count: int, rounds: int) -> dict[str, list[float]]:
    """Make each change so often; return the seconds of each."""
    took: dict[str, list[float]] = {"new": [], "changed": [], "renamed": [], "deleted": []}
    for number in range(count, count + rounds):
        path, other = folder / f"new-{number}.png", folder / "0000" / f"renamed-{number}.png"
        path.write_bytes(picture(number))
        took["new"].append(_seconds(client, {path.name: 200}))
        before = _digest_count(client, path.name)
        path.write_bytes(picture(number + 1_000_000))
        took["changed"].append(_until_changed(client, path.name, before))
        path.rename(other)
        took["renamed"].append(_seconds(client, {path.name: 404, f"0000/{other.name}": 200}))
        other.unlink()
        took["deleted"].append(_seconds(client, {f"0000/{other.name}": 404}))
    return took


def _digest_count(client: httpx.Client, key: str) -> object:
    return client.get(f"/images/{item_id('image', key)}").json()["prompt"]


def _until_changed(client: httpx.Client, key: str, before: object) -> float:
    started = time.monotonic()
    while time.monotonic() - started < CHANGE:
        if _digest_count(client, key) != before:
            return time.monotonic() - started
        time.sleep(0.02)
    raise RuntimeError(f"{key} did not change within {CHANGE:.0f} s")


def measure(count: int, rounds: int) -> str:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory(prefix="watch-latency-") as name:
        place = Path(name)
        folder, indices = place / "pictures", place / "indices"
        prepare(folder, indices, count)
        started = time.monotonic()
        with following(folder, indices, place / "log"):
            first = time.monotonic() - started
            flags = ["--models", "models", "--indices", str(indices), "--collection", COLLECTION]
            with serving(place, flags) as service, httpx.Client(base_url=service.url, timeout=60) as client:
                took = changes(client, folder, count, rounds)
        index = Manifest.read(current_version(indices / COLLECTION)).images
        started = time.monotonic()
        with following(folder, indices, place / "log"):
            again = time.monotonic() - started
        shown = " | ".join(f"{median(seconds):.1f} ({max(seconds):.1f})" for seconds in took.values())
        return f"| {count:,} | {index.key if index else ''} | {first:.0f} | {again:.1f} | {shown} |"


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", default=list(COUNTS), choices=list(COUNTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = []
    for count in arguments.counts:
        rows.append(measure(COUNTS[count], arguments.rounds))
        print(rows[-1], flush=True)
    arguments.out.write_text(_page(rows, arguments.rounds), encoding="utf-8")


def _page(rows: list[str], rounds: int) -> str:
    cores = os.cpu_count()
    table = "\n".join(rows)
    return f"""# How soon a change in a followed folder is served

Written by `python -m bench.watch_latency` on {cores} cores. Seconds from the end of the write until the running service
answers accordingly: median of {rounds} changes (and the longest). The bound to keep is 5 s.

| pictures | index | first build, nothing to encode | start when nothing changed | new | changed | renamed | deleted |
|---|---|---|---|---|---|---|---|
{table}
"""


if __name__ == "__main__":
    main()
