"""How faithful a bundle's encoders are to the checkpoint in PyTorch fp32: the measurement that decides an export."""

from __future__ import annotations

import clip
import clip.model
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoders import Encoders, unit
from promptsearch.errors import ExportError

FP32_COSINE = 0.99999  # what an fp32 export must reach on every text and picture

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
    """Seeded RGB pictures with structure at every scale: smooth colour fields under noise, in several shapes."""
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        height, width = (size, size) if number % 2 == 0 else (size, size + 32 * number)
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        noise = random.integers(-20, 21, (height, width, 3), dtype=np.int16)
        made.append(Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)))
    return made


def measure(encoders: Encoders, model: clip.model.CLIP) -> dict[str, float]:
    """Lowest and mean cosine between our vectors and PyTorch's, of TEXTS and of `pictures()`.

    PyTorch gets `clip.tokenize`'s 77 tokens, ours the real ones, a lone text at a time and all in one batch. The
    pictures' pixels are the same for both: preprocessing has tests of its own.
    """
    pixels = np.stack([encoders.preprocessing(picture) for picture in pictures()])
    with torch.inference_mode():
        reference_texts = unit(model.encode_text(clip.tokenize(list(TEXTS))).numpy())
        reference_images = unit(model.encode_image(torch.from_numpy(pixels)).numpy())
    alone = np.concatenate([encoders.encode_texts([text]) for text in TEXTS])
    together = encoders.encode_texts(TEXTS)
    cosines = {
        "text": np.concatenate([_cosines(alone, reference_texts), _cosines(together, reference_texts)]),
        "image": _cosines(encoders.encode_pixels(pixels), reference_images),
    }
    return {
        f"{kind}_cosine_{name}": round(float(value), 7)
        for kind, found in cosines.items()
        for name, value in (("min", found.min()), ("mean", found.mean()))
    }


def require(fidelity: dict[str, float], cosine: float) -> None:
    """Raises ExportError where a lowest cosine is below `cosine`, or no number."""
    for name, value in fidelity.items():
        if name.endswith("_min") and not value >= cosine:
            raise ExportError(
                f"the exported encoders are not faithful: {name} is {value}, it must be at least {cosine}"
            )


def _cosines(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float64]:
    cosines: NDArray[np.float64] = np.einsum("nd,nd->n", ours, reference, dtype=np.float64)
    return cosines
