"""Decoding of pictures, with limits that are checked before anything is decoded.

Every picture becomes upright RGB: first frame, EXIF orientation applied, transparency over the model's background,
16-bit greys scaled to 8 bits.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from promptsearch.errors import PictureError, PictureTooLarge

# Detected by content, never by name. Pillow's other formats (EPS, PDF, FITS, ...) are rare or run other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
LEAST_SIDE = 256  # pixels; JPEGs are not reduced below, because small encoders depend on sharp edges
MAX_PIXELS = 64_000_000  # 8000 x 8000: 192 MB decoded


def open_picture(
    source: bytes | Path,
    *,
    max_pixels: int = MAX_PIXELS,
    background: tuple[int, int, int] = (255, 255, 255),
    shorter_side: int | None = None,
) -> Image.Image:
    """Return a picture in mode RGB.

    `shorter_side`: pixels that the encoder needs. JPEGs are then decoded at a fraction of their size, with at least
    LEAST_SIDE and twice the needed pixels a side, which does not change the vector. Raises PictureError for other
    formats than FORMATS and for damaged files, and PictureTooLarge for more than `max_pixels`, before decoding.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > max_pixels:
                raise PictureTooLarge(
                    f"the picture has {picture.width} x {picture.height} pixels, the limit is {max_pixels:,} in all: "
                    "send a smaller one"
                )
            picture.seek(0)
            if shorter_side is not None:
                # Only JPEG supports this: it leaves out high frequencies of each block, for 1/2, 1/4 or 1/8 a side.
                side = max(2 * shorter_side, LEAST_SIDE)
                picture.draft(None, (side, side))
            picture.load()
            return _to_rgb(_upright(picture), background)
    except UnidentifiedImageError:
        raise PictureError(f"this is not a picture that can be read: expected {', '.join(FORMATS)}") from None
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError("no such file") from None
    except MemoryError:
        raise PictureTooLarge("the picture needs more memory than is available: send a smaller one") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):  # Pillow's own limit, checked before ours
        raise PictureTooLarge(f"the picture has far more than {max_pixels:,} pixels: send a smaller one") from None
    except Exception as error:  # damaged files raise exceptions of any type in Pillow's decoders
        raise PictureError(f"the picture is damaged: {error}") from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF does not affect the decoded pixels
        return picture


def _to_rgb(picture: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        picture = _to_8_bit(picture)
    if picture.mode in ("LA", "La", "PA", "RGBa", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        canvas = Image.new("RGBA", picture.size, (*background, 255))
        return Image.alpha_composite(canvas, picture).convert("RGB")
    return picture.convert("RGB")


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """Scale greys of 16 bits or more to 8 bits; Pillow's own conversion clips them."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    # Integer modes come from 16-bit files. Float pictures have no fixed white, so their brightest value is used.
    white = 65535.0 if picture.mode != "F" else max(float(values.max(initial=0.0)), 1e-12)
    return Image.fromarray(np.clip(values * (255.0 / white) + 0.5, 0, 255).astype(np.uint8))
