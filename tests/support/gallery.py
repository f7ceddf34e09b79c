"""A `manifest` source of 60 generations: three of each of 19 prompts, two of them alike, and three without a prompt."""

from __future__ import annotations

import csv
from pathlib import Path

from builder.encode.embed import embed
from builder.encode.runners.local import LocalRunner
from builder.indexing.index import index
from builder.sources import open_source
from builder.versions.publish import publish
from promptsearch.encoding.encoders import Encoders
from tests.support.drawing import as_bytes, picture

COUNT = 60
PROMPTS = tuple(
    f"a {colour} {what}"
    for colour in ("red", "small", "<b>bold</b>", "夜")
    for what in ("fox in the snow", "castle", "bowl of fruit", "lighthouse at night", "portrait")
)[:-1]
COLUMNS = ("image", "prompt", "seed", "steps", "cfg_scale", "sampler", "model", "created", "style")
SAMPLERS = ("ddim", "k_lms", "k_euler")
STYLES = ("ink", "oil", "")


def row(number: int) -> dict[str, object]:
    """Return the row of a generation, from 0, by the names of COLUMNS."""
    return {
        "image": f"{number:02}.png",
        "prompt": ([*PROMPTS, ""])[number // 3],
        "seed": 1000 + number,
        "steps": 20 + number % 5 * 10,
        "cfg_scale": 7.5 if number % 2 else "",
        "sampler": SAMPLERS[number % 3],
        "model": "stable-diffusion",
        "created": f"2023-{1 + number % 12:02}-11",
        "style": STYLES[number % 3],
    }


def write(folder: Path) -> Path:
    """Write the source into `folder`, which is created; return `folder`."""
    folder.mkdir(parents=True)
    for number in range(COUNT):
        alike = number - 1 if number % 3 == 1 else number
        (folder / f"{number:02}.png").write_bytes(as_bytes(picture(alike, 48, 40)))
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(map(row, range(COUNT)))
    return folder


def build(source: Path, encoders: Encoders, collection: Path) -> Path:
    """Build and publish a collection of the source; return the collection's folder."""
    embed(open_source("manifest", source, None), LocalRunner(encoders), encoders.bundle, collection, engine_name="onnx")
    index(collection)
    publish(collection)
    return collection
