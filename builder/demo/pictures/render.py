"""Drawing: from an SVG document or a picture file to RGBA pixels."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image

from ..styles import Art

Pixels = npt.NDArray[np.uint8]


def draw(art: Art, size: int) -> Image.Image:
    """Draw a picture, RGBA with straight alpha, `size` x `size` pixels, centred, its aspect ratio kept."""
    if isinstance(art.drawing, str):
        picture = _draw_svg(art.drawing, size)
    else:
        with Image.open(art.drawing) as file:
            picture = file.convert("RGBA")
    picture.thumbnail((size, size), Image.Resampling.BICUBIC)
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return canvas


def pixels(art: Art, size: int) -> Pixels:
    """Draw a picture as an array, uint8 [size, size, 4]."""
    return np.asarray(draw(art, size))


def _draw_svg(document: str, size: int) -> Image.Image:
    """Render an SVG so that the longer side is `size` pixels (resvg keeps the aspect ratio)."""
    header = document[: document.index(">")]
    width, height = (float(header.split(f'{side}="')[1].split('"')[0]) for side in ("width", "height"))
    wide = width >= height
    png = resvg_py.svg_to_bytes(
        svg_string=document,
        skip_system_fonts=True,
        width=size if wide else None,
        height=None if wide else size,
    )
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")
