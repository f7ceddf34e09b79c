"""The fidelity of a bundle's encoders to the checkpoint in fp32, which decides whether an export is kept.

The reference is PyTorch where it is installed, else `clip/towers.py`, which is NumPy.

Measured on TEXTS and `pictures()`, and on a sample of the demo's emoji in the folder `reference`, which is part of the
installed package. Random weights give no realistic activations: measuring them proves the export, not the quality of
8 bits.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.encoding.image_io import open_picture
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.errors import ExportError

from .original import Original, in_batches

FP32_COSINE = 0.99999  # what an fp32 export must reach on every text and picture
INT8_COSINE = 0.99  # what an int8 export must reach on average
COLLECTION = 100  # pictures of the folder `reference`, among which the ten nearest are compared
TOP = 10
BATCH = 16

_PICTURES = Path(__file__).parent / "reference"

# Everyday prompts of every length, one of them the whole context, and what tokenizers stumble over.
TEXTS = (
    "a",
    "happy dog",
    "a photo of a castle at night, highly detailed",
    "portrait of a woman with red hair, oil on canvas, by rembrandt, dramatic light, 8k",
    "don't look back! it's 100% café — “naïve” façade… ½ ☃ 🦊",
    "東京の夜景、サイバーパンク",
    " ".join(["one two three four five"] * 15),
)


def pictures(size: int = 256, count: int = 8) -> list[Image.Image]:
    """Return seeded RGB pictures with structure at every scale: smooth colour fields and noise, in several shapes."""
    random = np.random.default_rng(0)
    shown = []
    for number in range(count):
        height, width = (size, size) if number % 2 == 0 else (size, size + 32 * number)
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        noise = random.integers(-20, 21, (height, width, 3), dtype=np.int16)
        shown.append(Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)))
    return shown


def collection() -> tuple[list[str], list[Image.Image]]:
    """Return COLLECTION different prompts and their pictures, which are a sample of the demo's."""
    with (_PICTURES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["prompt"] for row in rows], [open_picture(_PICTURES / row["image"]) for row in rows]


@dataclass(frozen=True)
class Reference:
    """The original's vectors of the texts and pictures, which encoders are compared with.

    The last COLLECTION of each are those of `collection()`.
    """

    texts: Sequence[str]
    pixels: NDArray[np.float32]  # [n, 3, size, size]
    text_vectors: NDArray[np.float32]  # [len(texts), embedding_dim], unit vectors
    image_vectors: NDArray[np.float32]  # [n, embedding_dim]

    @classmethod
    def of(cls, original: Original, preprocessing: Preprocessing) -> Reference:
        """Encode with the original: padded tokens of its own tokenizer, and the pixels of our preprocessing."""
        prompts, shown = collection()
        texts = [*TEXTS, *prompts]
        pixels = np.stack([preprocessing(picture) for picture in [*pictures(), *shown]])
        towers = original.reference
        return cls(
            texts=texts,
            pixels=pixels,
            text_vectors=unit(in_batches(towers.encode_text, towers.tokenize(texts), BATCH)),
            image_vectors=unit(in_batches(towers.encode_image, pixels, BATCH)),
        )


def measure(encoders: Encoders, reference: Reference) -> dict[str, float]:
    """Return the lowest and mean cosine to the reference's vectors, and the overlap of the ten nearest.

    Texts are encoded one at a time and all in one batch. The overlap is the share of the ten pictures of the demo
    nearest to each of its prompts (`text`) or pictures (`image`) that are also the original's ten nearest: the
    collection's own vectors are the original's both times, as a collection is built in fp32 and searched in any
    precision.
    """
    alone = np.concatenate([encoders.encode_texts([text]) for text in reference.texts])
    together = encoders.encode_texts(reference.texts)
    images = in_batches(encoders.encode_pixels, reference.pixels, BATCH)
    cosines = {
        "text": np.concatenate([_cosines(vectors, reference.text_vectors) for vectors in (alone, together)]),
        "image": _cosines(images, reference.image_vectors),
    }
    stored = reference.image_vectors[-COLLECTION:]
    overlaps = {
        "text": _overlap(alone[-COLLECTION:], reference.text_vectors[-COLLECTION:], stored),
        "image": _overlap(images[-COLLECTION:], stored, stored),
    }
    measured = {}
    for kind, values in cosines.items():
        measured[f"{kind}_cosine_min"] = round(float(values.min()), 7)
        measured[f"{kind}_cosine_mean"] = round(float(values.mean()), 7)
        measured[f"{kind}_top{TOP}_overlap"] = round(overlaps[kind], 4)
    return measured


def require_every(fidelity: dict[str, float], cosine: float) -> None:
    """Raise ExportError if a lowest cosine is below `cosine` or NaN."""
    _require(fidelity, "cosine_min", cosine)


def require_mean(fidelity: dict[str, float], cosine: float) -> None:
    """Raise ExportError if a mean cosine is below `cosine` or NaN."""
    _require(fidelity, "cosine_mean", cosine)


def _require(fidelity: dict[str, float], ending: str, cosine: float) -> None:
    for name, value in fidelity.items():
        if name.endswith(ending) and not value >= cosine:
            raise ExportError(
                f"the exported encoders are not faithful: expected {name} of at least {cosine}, got {value}"
            )


def _cosines(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float64]:
    cosines: NDArray[np.float64] = np.einsum("nd,nd->n", ours, reference, dtype=np.float64)
    return cosines


def _overlap(ours: NDArray[np.float32], reference: NDArray[np.float32], stored: NDArray[np.float32]) -> float:
    """Return the share of the ten nearest that are the original's; ties within fp32's precision count as equal."""
    true = reference @ stored.T
    tenth = np.sort(true, axis=1)[:, -TOP, None]
    nearest = np.argsort(-(ours @ stored.T), axis=1, kind="stable")[:, :TOP]
    return float((np.take_along_axis(true, nearest, axis=1) >= tenth - 1e-6).mean())
