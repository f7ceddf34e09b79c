"""Pictures to test with: seeded, with structure at every scale."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
    """Return an RGB picture: a smooth colour field under noise, different for each seed."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noise = random.integers(-30, 31, (height, width, 3), dtype=np.int16)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def as_bytes(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """Return the bytes of a file in a format of Pillow's, written with these options."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()
