"""Pixels of any mode become RGB, with little more memory than the decoded picture itself takes."""

from __future__ import annotations

import math
import re

import numpy as np
from PIL import Image

from promptsearch.errors import PictureTooLarge

MAX_SCANS = 64  # of a progressive JPEG; encoders write about ten

_SCAN, _END = 0xDA, 0xD9  # markers of JPEG (ITU-T T.81, table B.1)
_BAND = 2**20  # pixels that are converted at a time
_TRANSPARENT = ("LA", "La", "PA", "RGBa", "RGBA")
# Bytes of a pixel in Pillow's memory; 4 in all other modes, RGB included.
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# Bytes of a pixel that decoders take besides.
_WHOLE = {"WEBP": 12, "AVIF": 12, "HEIF": 12, "JXL": 16, "TIFF": 4}
_TEMPORARY = 16 * _BAND  # bytes for a band's conversion
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a marker within compressed data (ITU-T T.81, B.1.1.5)


def needed_memory(picture: Image.Image, size: tuple[int, int], factor: int, scans: int, *, turned: bool) -> int:
    """Return the bytes that decoding takes at most, of a picture whose header has been read.

    `size` is that of the file, of which `picture` may be a draft; `factor` is what `to_rgb` will reduce it by; `scans`
    are those of a JPEG; `turned` says whether it may be transposed.
    """
    pixels = picture.width * picture.height
    reduced = math.ceil(picture.width / factor) * math.ceil(picture.height / factor)
    is_used = picture.mode == "RGB" and factor == 1 and "transparency" not in picture.info
    copies = (0 if is_used else 1) + (1 if turned else 0)
    each = _BYTES.get(picture.mode, 4) + _WHOLE.get(picture.format or "", 0)
    coefficients = _coefficients(picture) * size[0] * size[1] if scans > 1 else 0
    return math.ceil(pixels * each + 4 * reduced * copies + min(_TEMPORARY, 16 * pixels) + coefficients)


def _coefficients(picture: Image.Image) -> float:
    """Return the bytes of a pixel that a JPEG of several scans takes, whatever its draft: two for each sample."""
    layers: list[tuple[int, int, int, int]] = (
        getattr(picture, "layer", None) or [(0, 1, 1, 0)] * 3
    )  # Pillow's: id, samples across, down, table
    across, down = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    return 2 * sum(layer[1] * layer[2] for layer in layers) / (across * down)


def count_scans(jpeg: bytes) -> int:
    """Return the number of scans of a JPEG; raises PictureTooLarge for more than MAX_SCANS.

    Each scan may take as long as the whole picture, whatever the size of the file.
    """
    scans, place = 0, 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] != _END:
        marker = jpeg[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if marker == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise PictureTooLarge(f"the JPEG has more than {MAX_SCANS} scans: send it as a baseline JPEG")
            following = _MARKER.search(jpeg, place)
            if following is None:
                break
            place = following.start()
    return scans


def to_rgb(picture: Image.Image, background: tuple[int, int, int], factor: int = 1) -> Image.Image:
    """Return a loaded picture in mode RGB, without transparency, reduced by a whole factor by averaging.

    It is converted in bands, so that copies of a large picture are never complete.
    """
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture if factor == 1 else picture.reduce(factor)
    white = _white(picture)
    rows = max(factor, _BAND // picture.width // factor * factor)
    if rows >= picture.height:
        whole = _converted(picture, background, white)
        return whole if factor == 1 else whole.reduce(factor)
    rgb = Image.new("RGB", (math.ceil(picture.width / factor), math.ceil(picture.height / factor)))
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        converted = _converted(band, background, white)
        rgb.paste(converted if factor == 1 else converted.reduce(factor), (0, top // factor))
    return rgb


def _converted(picture: Image.Image, background: tuple[int, int, int], white: float | None) -> Image.Image:
    if white is not None:
        picture = _to_8_bit(picture, white)
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        canvas = Image.new("RGBA", picture.size, (*background, 255))
        return Image.alpha_composite(canvas, picture).convert("RGB")
    return picture.convert("RGB")


def _white(picture: Image.Image) -> float | None:
    """Return the value that stands for white in greys of 16 bits or more; None for other modes."""
    if picture.mode == "F":  # has no fixed white, so the brightest value is used
        rows = max(1, _BAND // picture.width)
        bands = (
            np.asarray(picture.crop((0, top, picture.width, min(top + rows, picture.height))))
            for top in range(0, picture.height, rows)
        )
        return max(1e-12, *(float(np.nan_to_num(band).max(initial=0.0)) for band in bands))
    return 65535.0 if picture.mode.startswith("I;16") or picture.mode == "I" else None


def _to_8_bit(picture: Image.Image, white: float) -> Image.Image:
    """Scale greys of 16 bits or more to 8 bits; Pillow's own conversion clips them."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    return Image.fromarray(np.clip(values * (255.0 / white) + 0.5, 0, 255).astype(np.uint8))
