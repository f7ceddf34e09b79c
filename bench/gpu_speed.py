"""The builder on a GPU, and how long the GPU waits.

`python -m bench.gpu_speed`, on a machine with an NVIDIA GPU, writes `bench/results/gpu-speed.md`: pictures and prompts
a second of a build with `--engine torch`, compared with the model alone on tensors in the GPU's memory and with
decoding alone on the machine's cores. Full-size models of random weights, files as image
generators write them, and how far the GPU's half precision is from ONNX Runtime in fp32.
"""

from __future__ import annotations

import csv
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.builder_speed import FORMATS, PICTURES, RESULTS, SIDE, embed, parts, write_csv, write_pictures
from bench.support.checkpoints import VIT_B_32, VIT_L_14, random_state, save
from builder.encode.engines import GPU_IMAGE_BATCH, GPU_TEXT_BATCH, TorchEngine
from builder.export.clip.checkpoint import MEAN, STD
from builder.export.export import write_fp32
from builder.export.pytorch.checkpoint import Checkpoint
from promptsearch.encoding.bundle import Bundle, ImageSpec
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.system.cpus import available_cores

MODELS = {"ViT-B/32": VIT_B_32, "ViT-L/14": VIT_L_14}
DEVICE = "cuda"
COPIES = 32  # of each picture, each another file to the builder
PROMPTS = 100_000
COMPARED = 64
SECONDS = 2.0  # that the model alone is measured


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figures:
    """The figures of one model. Rates are in pictures or prompts a second."""

    cosines: dict[str, float]  # the least, of pictures and of prompts
    alone: dict[str, float]  # of pictures and of prompts
    decoded: dict[str, float]  # by the pictures' format: by all cores, when nothing is encoded
    built: dict[str, float]  # by the pictures' format, and of prompts
    busy: dict[str, float]  # by the pictures' format: the share of a build in which the engine was at work


def write_copies(folder: Path, suffix: str) -> int:
    """Write PICTURES files COPIES times, each copy with another number behind its end; return their count."""
    written = 0
    for path in write_pictures(folder, suffix):
        content = path.read_bytes()
        for copy in range(1, COPIES):
            path.with_stem(f"{path.stem}-{copy}").write_bytes(content + copy.to_bytes(2))
        written += COPIES
    return written


def measure(work: Path, name: str, counts: dict[str, int]) -> Figures:
    """Measure a model on each engine and build with it."""
    bundle = write_bundle(name, work / name.replace("/", "-"))
    alone, cosines = alone_rates(bundle), compare(bundle, work)
    logger.info("%s: %s alone, cosines %s", name, alone, cosines)
    start = build(work, bundle, "folder", work / "one")
    decoded, built, busy = dict[str, float](), dict[str, float](), dict[str, float]()
    for suffix, count in counts.items():
        decoded[suffix] = decoding_rate(work / suffix, bundle)
        manifest = build(work, bundle, "folder", work / suffix)
        assert manifest["encoded"]["images"] == count
        seconds = manifest["seconds"]["images"] - start["seconds"]["images"]
        built[suffix] = (count - 1) / seconds
        busy[suffix] = manifest["seconds_encoding_images"] / seconds
        logger.info("%s, %s: decoded %.0f, built %.0f", name, suffix, decoded[suffix], built[suffix])
    manifest = build(work, bundle, "open-prompts", work / "prompts.csv")
    built["prompts"] = manifest["encoded"]["prompts"] / manifest["seconds"]["prompts"]
    return Figures(cosines, alone, decoded, built, busy)


def write_bundle(name: str, folder: Path) -> Bundle:
    """Write a bundle without measuring its fidelity, which takes minutes for a large model on the CPU."""
    folder.mkdir()
    checkpoint = Checkpoint.file(save(random_state(MODELS[name]), folder / "clip.pt"))
    bundle = write_fp32(checkpoint.original(), folder / "model", licence="none")
    bundle.write()
    return bundle


def alone_rates(bundle: Bundle) -> dict[str, float]:
    """Measure the engine alone, in vectors a second."""
    model, size = Checkpoint.of_bundle(bundle).model().to(DEVICE), bundle.image.size
    pixels = torch.randn(GPU_IMAGE_BATCH, 3, size, size, device=DEVICE)
    tokens = torch.randint(1, 1000, (GPU_TEXT_BATCH, bundle.text.context_length), device=DEVICE)
    return {
        "pictures": alone_rate(model.encode_image, pixels),
        "prompts": alone_rate(model.encode_text, tokens),
    }


def alone_rate(encode: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> float:
    """Return vectors a second with half-precision autocast, as in the engine, several batches under way at once."""
    with torch.inference_mode(), torch.autocast(DEVICE, dtype=torch.float16):
        for _ in range(3):
            encode(batch)
        torch.cuda.synchronize()
        started, batches = time.monotonic(), 0
        while time.monotonic() - started < SECONDS:
            for _ in range(8):
                encode(batch)
            torch.cuda.synchronize()
            batches += 8
        return batches * len(batch) / (time.monotonic() - started)


def compare(bundle: Bundle, work: Path) -> dict[str, float]:
    """Return the least cosine of the engine's vectors to ONNX Runtime's in fp32."""
    encoders, engine = Encoders(bundle), TorchEngine(bundle)
    files = sorted((work / FORMATS[0]).iterdir())[::COPIES][:COMPARED]
    crops = np.stack([np.asarray(encoders.preprocessing.crop(open_picture(file))) for file in files])
    with (work / "prompts.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["prompt"] for row in islice(csv.DictReader(file), COMPARED)]
    return {
        "pictures": float(np.vecdot(engine.encode_crops(crops), encoders.encode_crops(crops)).min()),
        "prompts": float(np.vecdot(engine.encode_texts(texts), encoders.encode_texts(texts)).min()),
    }


def decoding_rate(folder: Path, bundle: Bundle) -> float:
    """Measure decoding alone, in pictures a second."""
    command = [sys.executable, "-m", "bench.support.decoding", str(folder), str(bundle.folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def build(work: Path, bundle: Bundle, source: str, path: Path) -> Mapping[str, Any]:
    """Build a source with PyTorch; return the manifest's record of the build."""
    _, manifest = embed(work, source, path, bundle, ["--engine", "torch"])
    return manifest.build


def page(figures: dict[str, Figures], parts_of: dict[str, dict[str, float]]) -> str:
    """Return the page."""
    steps = [step for step in parts_of[FORMATS[0]] if step != "normalise"]  # the GPU does this
    lines = [
        "# The builder on a GPU",
        "",
        f"Written by `python -m bench.gpu_speed` on one {torch.cuda.get_device_name()} and {available_cores()} cores, "
        f"with PyTorch {torch.__version__}, in one run. Models of random weights.",
        "",
        f"| | {' | '.join(figures)} |",
        "|---|" + "---|" * len(figures),
    ]
    rows = zip(*map(results, figures.values()), strict=True)
    lines += [f"| {row[0][0]} | " + " | ".join(value for _, value in row) + " |" for row in rows]
    lines += [
        "",
        f"Pictures are {PICTURES * COPIES:,} files of {SIDE} x {SIDE} pixels, prompts {PROMPTS:,} of 3 to 30 words. "
        "A build reads, decodes, makes thumbnails, encodes and stores. The time of a core for one picture, each step "
        "alone:",
        "",
        f"| CPU, ms | {' | '.join(suffix.upper() for suffix in FORMATS)} |",
        "|---|" + "---|" * len(FORMATS),
        *(f"| {step} | " + " | ".join(f"{parts_of[suffix][step]:.2f}" for suffix in FORMATS) + " |" for step in steps),
        "",
    ]
    return "\n".join(lines)


def results(figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield the titles and values of a model's column."""
    alone = figures.alone["pictures"]
    yield "least cosine with ONNX Runtime in fp32, pictures (goal: 0.999)", f"{figures.cosines['pictures']:.5f}"
    yield "… prompts (goal: 0.999)", f"{figures.cosines['prompts']:.5f}"
    yield f"pictures a second: the model alone, {GPU_IMAGE_BATCH} at once", f"{alone:,.0f}"
    for suffix in FORMATS:
        kind, built, decoded = suffix.upper(), figures.built[suffix], figures.decoded[suffix]
        yield f"{kind}: all cores decode, nothing is encoded", f"{decoded:,.0f}"
        yield f"{kind}: a build", f"{built:,.0f}"
        yield f"{kind}: … against the model alone (goal: 0.8)", f"**{built / alone:.2f}**"
        yield f"{kind}: … against the slower of model and decoding", f"**{built / min(alone, decoded):.2f}**"
        yield f"{kind}: … share of its time in which the engine is at work", f"{figures.busy[suffix]:.2f}"
    yield f"prompts a second: the model alone, {GPU_TEXT_BATCH} at once", f"{figures.alone['prompts']:,.0f}"
    yield "… a build", f"{figures.built['prompts']:,.0f}"


def main() -> None:
    """Measure, and write the page."""
    if not torch.cuda.is_available():
        raise SystemExit("expected an NVIDIA GPU, but PyTorch finds none")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        counts, parts_of = dict[str, int](), dict[str, dict[str, float]]()
        for suffix in FORMATS:
            (work / suffix).mkdir()
            counts[suffix] = write_copies(work / suffix, suffix)
            files = sorted((work / suffix).iterdir())[::COPIES][:COMPARED]
            parts_of[suffix] = parts(files, Preprocessing(ImageSpec(224, MEAN, STD)))
        (work / "one").mkdir()
        shutil.copy(files[0], work / "one")
        write_csv(work / "prompts.csv", PROMPTS, 1)
        figures = {name: measure(work, name, counts) for name in MODELS}
    text = page(figures, parts_of)
    (RESULTS / "gpu-speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
