"""How much of the encoder's speed the builder keeps, and how much memory a long CSV takes.

`python -m bench.builder_speed` measures, each on a page of its own in `bench/results/`:

- `speed`: pictures a second of `python -m builder embed` (read, decode, thumbnail, encode, store) against the same ONNX
  encoder on prepared tensors, with a full-size ViT-B/32 of random weights and files as image generators write them.
  Encoder and builder take turns, so that other load of the machine affects both, and their CPU times are compared as
  well, which it affects less. The CPU time beside the encoder is measured part by part.
- `memory`: the peak memory of `python -m builder embed open-prompts` over a CSV of ROWS generations, prompts encoded by
  the demo's model: that of the largest process, and of all together.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from bench.support.checkpoints import VIT_B_32, random_state, save
from builder.encode.decoding import Decoded
from builder.encode.vector_cache import Cache, CachedPicture
from builder.export.export import export
from builder.export.pytorch.checkpoint import Checkpoint
from builder.sources import Item
from builder.sources.inputs.picture import FilePicture
from builder.versions.staging import Staging
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import IMAGE_BATCH, Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.metadata import read_generation
from promptsearch.storage.digests import digest_of
from promptsearch.storage.manifest import Manifest
from promptsearch.storage.thumbnails import make_thumbnail
from promptsearch.system.cpus import available_cores

DEMO = Path("builder/demo/emoji")
RESULTS = Path("bench/results")
PICTURES = 256
SIDE = 512  # pixels
FORMATS = ("png", "jpg")
ROUNDS = 3
ALONE = 3  # batches that the encoder does before and after each build
PARAMETERS = "a small drawing on a noisy ground\nSteps: 50, Sampler: Euler a, CFG scale: 7, Seed: {}, Size: 512x512"
ROWS = 1_000_000
GENERATIONS = 5  # of a prompt, as in open-prompts: 10 million of 1.94 million prompts


def write_pictures(folder: Path, suffix: str = "png") -> list[Path]:
    """Write files about as large as a diffusion model's (PNG: 430 KB): emoji on a noisy gradient, with settings."""
    rng = np.random.default_rng(0)
    files = sorted((DEMO / "images" / "noto").glob("*.webp"))[:PICTURES]
    ramp = np.linspace(0, 255, SIDE)
    written = []
    for number, file in enumerate(files):
        fade = np.add.outer(ramp * rng.random(), ramp * rng.random())[..., None] * rng.random(3) / 2
        ground = Image.fromarray(np.clip(fade + rng.normal(60, 6, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8))
        emoji = Image.open(file).convert("RGBA").resize((SIDE // 2, SIDE // 2))
        ground.paste(emoji, (SIDE // 4, SIDE // 4), emoji)
        written.append(folder / f"{number:04}.{suffix}")
        ground.save(written[-1], **_settings(suffix, PARAMETERS.format(number)))
    return written


def _settings(suffix: str, parameters: str) -> dict[str, Any]:
    """Return the arguments of Pillow's `save` that write the parameters as AUTOMATIC1111 does."""
    if suffix == "png":
        info = PngInfo()
        info.add_text("parameters", parameters)
        return {"pnginfo": info}
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = "AUTOMATIC1111"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + parameters.encode("utf-16-be")
    return {"exif": exif, "quality": 95}


@dataclass(frozen=True)
class Cost:
    """The cost of some pictures."""

    pictures: int
    wall: float  # seconds
    cpu: float  # seconds of all processes

    @property
    def rate(self) -> float:
        """Return pictures a second."""
        return self.pictures / self.wall

    @property
    def cpu_each(self) -> float:
        """Return milliseconds of CPU a picture."""
        return 1000 * self.cpu / self.pictures


@dataclass(frozen=True)
class Speed:
    """The costs of encoding alone and of a whole build."""

    alone: list[Cost]
    built: list[Cost]  # without their start
    start: Cost
    parts: dict[str, float]  # CPU milliseconds a picture

    @property
    def alone_rate(self) -> float:
        """Return pictures a second of encoding alone."""
        return statistics.median(cost.rate for cost in self.alone)

    @property
    def alone_cpu(self) -> float:
        """Return milliseconds of CPU a picture of encoding alone."""
        return statistics.median(cost.cpu_each for cost in self.alone)

    @property
    def built_cpu(self) -> float:
        """Return milliseconds of CPU a picture of the build."""
        return statistics.median(cost.cpu_each for cost in self.built)

    @property
    def built_rate(self) -> float:
        """Return pictures a second of the build, once it has begun."""
        return statistics.median(cost.rate for cost in self.built)

    @property
    def whole_rate(self) -> float:
        """Return pictures a second of the whole build."""
        return statistics.median(cost.pictures / (cost.wall + self.start.wall) for cost in self.built)


def speed(work: Path, bundle: Bundle, suffix: str) -> Speed:
    """Measure encoding alone and a build of pictures with this suffix, in turns."""
    for folder in (work / suffix, work / f"one-{suffix}"):
        folder.mkdir()
    files = write_pictures(work / suffix, suffix)
    shutil.copy(files[0], work / f"one-{suffix}")
    encoders = Encoders(bundle)
    ready = np.stack([encoders.preprocessing(open_picture(path)) for path in files[:IMAGE_BATCH]])
    encoders.encode_pixels(ready)  # the first run allocates
    alone, built = [], []
    start = build(work, bundle, work / f"one-{suffix}", 1)
    for _ in range(ROUNDS):
        alone.append(encode(encoders, ready))
        whole = build(work, bundle, work / suffix, len(files))
        built.append(Cost(len(files) - 1, whole.wall - start.wall, whole.cpu - start.cpu))
        alone.append(encode(encoders, ready))
    steps = parts(files[:64], encoders.preprocessing) | between(work / suffix, files[:64], bundle)
    return Speed(alone, built, start, steps)


def encode(encoders: Encoders, ready: np.ndarray[Any, np.dtype[np.float32]]) -> Cost:
    """Measure encoding of prepared pixels, float32 [n, 3, size, size]."""
    wall, cpu = time.monotonic(), time.process_time()
    for _ in range(ALONE):
        encoders.encode_pixels(ready)
    return Cost(ALONE * len(ready), time.monotonic() - wall, time.process_time() - cpu)


def build(work: Path, bundle: Bundle, pictures: Path, count: int) -> Cost:
    """Build a collection; return its cost: wall time of the pictures, CPU time also of loading the model."""
    usage, manifest = embed(work, "folder", pictures, bundle)
    assert manifest.build["encoded"]["images"] == count
    return Cost(count, manifest.build["seconds"]["images"], usage.cpu)


def embed(work: Path, source: str, path: Path, bundle: Bundle, arguments: Sequence[str] = ()) -> tuple[Usage, Manifest]:
    """Run `python -m builder embed` for a new collection; return its usage and manifest."""
    shutil.rmtree(work / "indices", ignore_errors=True)
    usage = watch(["embed", source, str(path), "--model", str(bundle.folder), "--collection", "c",
                   "--indices", str(work / "indices"), *arguments])  # fmt: skip
    return usage, Manifest.read(work / "indices" / "c" / "staging")


def parts(files: list[Path], preprocessing: Preprocessing) -> dict[str, float]:
    """Measure the CPU milliseconds a picture of each step beside the encoder."""
    contents = [path.read_bytes() for path in files]
    pictures = [open_picture(content) for content in contents]
    crops = np.stack([np.asarray(preprocessing.crop(picture)) for picture in pictures])
    return {
        "decode": _cpu(open_picture, contents),
        "resize and crop for the encoder": _cpu(preprocessing.crop, pictures),
        "normalise": _cpu(preprocessing.normalise, crops),
        "thumbnail": _cpu(make_thumbnail, pictures),
        "read, and digest of the content": _cpu(lambda path: digest_of(path.read_bytes()), files),
        "prompt and settings from the metadata": _cpu(read_generation, files),
    }


def between(folder: Path, files: list[Path], bundle: Bundle) -> dict[str, float]:
    """Measure the CPU milliseconds a picture of handing it over and storing it."""
    preprocessing = Preprocessing(bundle.image)
    items = {path.name: Item(path.name, path.name, None, FilePicture(folder, path.name)) for path in files}
    decoded = {}
    for path in files:
        content = path.read_bytes()
        picture = open_picture(content)
        crop = np.asarray(preprocessing.crop(picture))
        decoded[path.name] = Decoded(digest_of(content), crop, picture.size, make_thumbnail(picture))
    vector = np.zeros(bundle.embedding_dim, dtype=np.float16)
    encoded = [(item.digest, CachedPicture(vector, picture.size, item.thumbnail or b"")) for item in decoded.values()]
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def hand_over(item: Decoded) -> None:
        sending = pool.submit(sender.send, item)
        receiver.recv()
        sending.result()

    def store(batch: list[tuple[bytes, CachedPicture]]) -> None:
        cache.add_pictures(batch)
        for name, item in decoded.items():
            kept = cache.picture(item.digest)
            assert kept is not None
            staging.add(items[name], kept.vector, kept.size, kept.thumbnail)

    with (
        ThreadPoolExecutor(1) as pool,
        tempfile.TemporaryDirectory() as collection,
        Cache(Path(collection) / "c", bundle) as cache,
        Staging(Path(collection) / "c", bundle.embedding_dim) as staging,
    ):
        return {
            "hand it over to the encoder's process": _cpu(hand_over, decoded.values()),
            "store vector, thumbnail and settings": _cpu(store, [encoded]) / len(encoded),
        }


def _cpu(step: Callable[[Any], object], inputs: Iterable[Any]) -> float:
    """Return the median CPU milliseconds of `step` over its inputs."""
    taken = []
    for value in inputs:
        started = time.process_time()
        step(value)
        taken.append(1000 * (time.process_time() - started))
    return statistics.median(taken)


def write_csv(path: Path, rows: int, generations: int) -> None:
    """Write a CSV in open-prompts' columns; each prompt has `generations` rows in a row."""
    with (DEMO / "manifest.csv").open(encoding="utf-8", newline="") as file:
        words = sorted({word for row in csv.DictReader(file) for word in row["prompt"].split()})
    rng = random.Random(0)  # noqa: S311 - synthetic prompts
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt", "raw_data"))
        for number in range(rows):
            if number % generations == 0:
                prompt = " ".join(rng.choices(words, k=rng.randint(3, 30)))
            known = {"image_uri": f"https://example.org/{number}.png", "seed": number, "width": 512, "height": 512,
                     "num_step": 50, "cfg_scale": 7.0, "timestamp": 1.66e9 + number}  # fmt: skip
            writer.writerow((prompt, json.dumps({"raw_discord_data": known})))


@dataclass
class Usage:
    """The usage of a builder's processes: peak bytes of the largest and of all together, seconds of CPU."""

    largest: int = 0
    together: int = 0
    cpu: float = 0.0


def watch(arguments: list[str]) -> Usage:
    """Run `python -m builder` with these arguments; return its usage."""
    command = [sys.executable, "-m", "builder", *arguments]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    usage, cpu = Usage(), dict[int, float]()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            resident = {pid: _resident(pid) for pid in _session(process.pid)}
            usage.largest = max([usage.largest, *resident.values()])
            usage.together = max(usage.together, sum(resident.values()))
            for pid in resident:
                cpu[pid] = max(cpu.get(pid, 0.0), _cpu_seconds(pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    status = process.wait()
    ended.set()
    watcher.join()
    assert status == 0, "the builder failed"
    usage.cpu = sum(cpu.values())
    return usage


def memory(work: Path) -> tuple[Usage, Manifest]:
    """Build a large collection and watch its memory."""
    write_csv(work / "prompts.csv", ROWS, GENERATIONS)
    return embed(work, "open-prompts", work / "prompts.csv", Bundle.open(Path("models/emoji")))


def _session(leader: int) -> list[int]:
    """Return the processes of a session."""
    processes = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            processes.append(int(path.parent.name))
    return processes


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def _cpu_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def speed_page(speeds: dict[str, Speed], load: float) -> str:
    """Return the page about speed."""

    def row(title: str, of: Callable[[Speed], object]) -> str:
        return f"| {title} | " + " | ".join(str(of(result)) for result in speeds.values()) + " |"

    def ceiling(result: Speed, *steps: str) -> str:
        return f"{result.alone_cpu / (result.alone_cpu + sum(result.parts[step] for step in steps)):.2f}"

    steps = list(next(iter(speeds.values())).parts)
    return "\n".join(
        (
            "# The builder's speed",
            "",
            f"Written by `python -m bench.builder_speed speed` on {available_cores()} cores, in one run. When it "
            f"began, other work kept the machine at a load of {load:.1f}: if that is not near 0, the CPU time is the "
            "better measure.",
            "",
            f"{PICTURES} files of {SIDE} x {SIDE} pixels, ViT-B/32 (random weights). Medians of {ROUNDS} builds, each "
            "between two measurements of the encoder.",
            "",
            f"| | {' | '.join(speeds)} |",
            "|---|" + "---|" * len(speeds),
            row(
                "pictures a second: the encoder alone, on tensors that are ready",
                lambda result: f"{result.alone_rate:.1f}",
            ),
            row("… `embed`: read, decode, thumbnail, encode, store", lambda result: f"{result.built_rate:.1f}"),
            row("ratio (goal: 0.9)", lambda result: f"**{result.built_rate / result.alone_rate:.2f}**"),
            row("seconds to start, counted apart (a build of one picture)", lambda result: f"{result.start.wall:.1f}"),
            row(
                f"ratio with the start, of {PICTURES} pictures",
                lambda result: f"{result.whole_rate / result.alone_rate:.2f}",
            ),
            row("CPU a picture, all processes: the encoder alone, ms", lambda result: f"{result.alone_cpu:.1f}"),
            row("… `embed`, ms", lambda result: f"{result.built_cpu:.1f}"),
            row("ratio of the CPU", lambda result: f"**{result.alone_cpu / result.built_cpu:.2f}**"),
            "",
            "The cost of a picture beside the encoder, each step alone:",
            "",
            f"| CPU, ms | {' | '.join(speeds)} |",
            "|---|" + "---|" * len(speeds),
            *(row(step, lambda result, step=step: f"{result.parts[step]:.2f}") for step in steps),  # type: ignore[misc]
            row("together", lambda result: f"{sum(result.parts.values()):.2f}"),
            "",
            "An encoder on the CPU keeps every core busy, so all other work slows it down. No builder "
            "that does these steps on the same cores is faster than",
            "",
            f"| ceiling of the ratio | {' | '.join(speeds)} |",
            "|---|" + "---|" * len(speeds),
            row("with all of them", lambda result: ceiling(result, *steps)),
            row("with decoding and resizing alone", lambda result: ceiling(result, *steps[:2])),
            "",
        )
    )


def memory_page(usage: Usage, manifest: Manifest) -> str:
    """Return the page about memory."""
    counts, seconds = manifest.counts, manifest.build["seconds"]
    return "\n".join(
        (
            "# The builder's memory",
            "",
            f"Written by `python -m bench.builder_speed memory` on {available_cores()} cores, in one run.",
            "",
            f"| a CSV of {counts['images']:,} generations of {counts['prompts']:,} prompts, the demo's model | |",
            "|---|---|",
            f"| peak memory of the builder's largest process (goal: 1 GB) | {usage.largest / 1e6:.0f} MB |",
            f"| of all its processes together | {usage.together / 1e6:.0f} MB |",
            f"| seconds to read and store them | {seconds['images']:.0f} |",
            f"| seconds to encode the prompts | {seconds['prompts']:.0f} |",
            "",
        )
    )


def main() -> None:
    """Measure what the arguments name, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["speed", "memory"], help="speed, memory (default: both)")
    what = parser.parse_args().what
    logging.basicConfig(level=logging.WARNING)
    if "speed" in what:
        with tempfile.TemporaryDirectory() as folder:
            work, load = Path(folder), os.getloadavg()[0]
            checkpoint = Checkpoint.file(save(random_state(VIT_B_32), work / "clip.pt"))
            bundle = export(checkpoint, work / "model", licence="none")
            text = speed_page({suffix.upper(): speed(work, bundle, suffix) for suffix in FORMATS}, load)
        (RESULTS / "builder-speed.md").write_text(text, encoding="utf-8")
        print(text)
    if "memory" in what:
        with tempfile.TemporaryDirectory() as folder:
            text = memory_page(*memory(Path(folder)))
        (RESULTS / "builder-memory.md").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
