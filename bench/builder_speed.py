"""How much of the encoder's speed the builder keeps, and how much memory a long CSV takes.

`python -m bench.builder_speed --out FILE` measures in one run:

- pictures a second of `embed` (read, decode, thumbnail, encode, store) against the same ONNX encoder on tensors that
  are ready, with a full-size ViT-B/32 of random weights and 512 x 512 PNG files, as image generators write them;
- the peak memory of `python -m builder embed open-prompts` over a CSV of ROWS generations, prompts encoded by the
  demo's model: that of the largest process, and of all together.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from builder.checkpoint import Checkpoint
from builder.embed import embed
from builder.export import export
from builder.sources import open_source
from promptsearch.cores import cores
from promptsearch.encoders import IMAGE_BATCH, Encoders
from promptsearch.manifest import Manifest
from promptsearch.picture import open_picture
from tests.checkpoints import VIT_B_32, random_state, save

DEMO = Path("builder/demo/emoji")
PICTURES = 256
SIDE = 512  # pixels
ROWS = 1_000_000
GENERATIONS = 5  # of a prompt, as in open-prompts: 10 million of 1.94 million prompts


def write_pictures(folder: Path) -> None:
    """PNG files about as large as a diffusion model's (300 to 500 KB): emoji on a noisy gradient."""
    rng = np.random.default_rng(0)
    files = sorted((DEMO / "images" / "noto").glob("*.webp"))[:PICTURES]
    ramp = np.linspace(0, 255, SIDE)
    for number, file in enumerate(files):
        fade = np.add.outer(ramp * rng.random(), ramp * rng.random())[..., None] * rng.random(3) / 2
        ground = Image.fromarray(np.clip(fade + rng.normal(60, 6, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8))
        emoji = Image.open(file).convert("RGBA").resize((SIDE // 2, SIDE // 2))
        ground.paste(emoji, (SIDE // 4, SIDE // 4), emoji)
        ground.save(folder / f"{number:04}.png")


def speed(work: Path) -> tuple[float, float]:
    """Pictures a second: of the encoder alone, and of the builder."""
    bundle = export(Checkpoint.file(save(random_state(VIT_B_32), work / "clip.pt")), work / "model", licence="none")
    pictures = work / "pictures"
    pictures.mkdir()
    write_pictures(pictures)
    encoders = Encoders(bundle)
    ready = np.stack([encoders.preprocessing(open_picture(path)) for path in sorted(pictures.iterdir())])
    encoders.encode_pixels(ready[:IMAGE_BATCH])  # the first run allocates
    started = time.monotonic()
    for start in range(0, len(ready), IMAGE_BATCH):
        encoders.encode_pixels(ready[start : start + IMAGE_BATCH])
    alone = len(ready) / (time.monotonic() - started)
    source = open_source("folder", pictures, None)
    manifest = embed(source, encoders, bundle, work / "collection", engine_name="onnx")
    return alone, float(manifest.build["images_a_second"])


def write_csv(path: Path) -> None:
    """A CSV of open-prompts' columns; every prompt is one of GENERATIONS rows that come one after the other."""
    with (DEMO / "manifest.csv").open(encoding="utf-8", newline="") as file:
        words = sorted({word for row in csv.DictReader(file) for word in row["prompt"].split()})
    rng = random.Random(0)  # noqa: S311 - made-up prompts
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt", "raw_data"))
        for number in range(ROWS):
            if number % GENERATIONS == 0:
                prompt = " ".join(rng.choices(words, k=rng.randint(3, 30)))
            known = {"image_uri": f"https://example.org/{number}.png", "seed": number, "width": 512, "height": 512,
                     "num_step": 50, "cfg_scale": 7.0, "timestamp": 1.66e9 + number}  # fmt: skip
            writer.writerow((prompt, json.dumps({"raw_discord_data": known})))


def memory(work: Path) -> tuple[int, int, Manifest]:
    """Peak resident bytes of the largest process and of all, and what was built."""
    write_csv(work / "prompts.csv")
    command = [sys.executable, "-m", "builder", "embed", "open-prompts", str(work / "prompts.csv"), "--model",
               "models/emoji", "--collection", "long", "--indices", str(work)]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    largest, together = 0, 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal largest, together
        while not ended.wait(0.2):
            found = [_resident(each) for each in _session(process.pid)]
            largest, together = max([largest, *found]), max(together, sum(found))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    ended.set()
    watcher.join()
    assert status == 0, "the builder failed"
    return largest, together, Manifest.read(work / "long" / "staging")


def _session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(int(path.parent.name))
    return found


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def page(alone: float, built: float, largest: int, together: int, manifest: Manifest) -> str:
    counts, seconds = manifest.counts, manifest.build["seconds"]
    return "\n".join(
        (
            "# The builder's speed and memory",
            "",
            f"Made by `python -m bench.builder_speed` on {cores()} cores, in one run.",
            "",
            f"| {PICTURES} PNG files of {SIDE} x {SIDE} pixels, ViT-B/32 (random weights) | pictures a second |",
            "|---|---|",
            f"| the encoder alone, on tensors that are ready | {alone:.1f} |",
            f"| `embed`: read, decode, thumbnail, encode, store | {built:.1f} |",
            f"| ratio (goal: 0.9) | {built / alone:.2f} |",
            "",
            f"| a CSV of {counts['images']:,} generations of {counts['prompts']:,} prompts, the demo's model | |",
            "|---|---|",
            f"| peak memory of the builder's largest process (goal: 1 GB) | {largest / 1e6:.0f} MB |",
            f"| of all its processes together | {together / 1e6:.0f} MB |",
            f"| seconds to read and store them | {seconds['images']:.0f} |",
            f"| seconds to encode the prompts | {seconds['prompts']:.0f} |",
            "",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench/results/builder-speed.md"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        alone, built = speed(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        text = page(alone, built, *memory(Path(folder)))
    arguments.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
