"""Decoding of pictures, with limits that are checked before anything is decoded.

Every picture becomes upright RGB: first frame, EXIF orientation applied, transparency over the model's background,
16-bit greys scaled to 8 bits.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from promptsearch.errors import PictureError, PictureTooLarge
from promptsearch.metadata.embedded.containers import without_metadata
from promptsearch.metadata.embedded.signatures import HEAD_BYTES, kind_of_file

# Formats of Pillow's plugins, which are used if they are installed: each decoder is code that runs on strangers' files.
PLUGINS = {"HEIC": ("HEIF", "pillow_heif", "pillow-heif"), "JPEG XL": ("JXL", "pillow_jxl", "pillow-jxl-plugin")}


def _plugged_in() -> Iterator[str]:
    for format, module, _ in PLUGINS.values():
        with contextlib.suppress(ImportError):
            plugin = import_module(module)  # pillow_jxl registers itself
            if format == "HEIF":
                plugin.register_heif_opener()
            yield format


# Detected by content, never by name. Pillow's other formats (EPS, PDF, FITS, ...) are rare or run other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *_plugged_in())
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
    content = source if isinstance(source, bytes) else _content(source)
    decode = partial(_decode, max_pixels=max_pixels, background=background, shorter_side=shorter_side)
    try:
        return decode(content)
    except PictureTooLarge:
        raise
    except PictureError as error:
        # Pillow refuses good pixels for the size of a text or profile beside them, or damage there.
        for keep_exif in (True, False):  # it contains the orientation
            bare = without_metadata(content, keep_exif=keep_exif)
            with contextlib.suppress(PictureError):
                if bare is not None:
                    return decode(bare)
        raise error from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PictureError("no such file") from None
    except OSError as error:
        raise PictureError(f"the file cannot be read: {error.strerror}") from error


def unreadable(head: bytes) -> str:
    """Return why a file with these first bytes cannot be read as a picture, and what to do."""
    kind = kind_of_file(head)
    if kind in PLUGINS:
        return f"{kind} pictures cannot be read: install {PLUGINS[kind][2]}"
    if kind is not None and kind.upper() in FORMATS:
        return f"this {kind} picture is damaged or cut off: send it again"
    readable = f"readable are {', '.join(FORMATS)}"
    return f"{kind}s are not read: {readable}" if kind else f"this is not a picture that can be read; {readable}"


def _decode(
    content: bytes, *, max_pixels: int, background: tuple[int, int, int], shorter_side: int | None
) -> Image.Image:
    """Return a picture in mode RGB, as `open_picture`. Raises PictureError."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > max_pixels:
                raise PictureTooLarge(
                    f"the picture has {picture.width} x {picture.height} pixels, the limit is {max_pixels:,} in all: "
                    "send a smaller picture"
                )
            picture.seek(0)
            if shorter_side is not None:
                # Only JPEG supports this: it leaves out high frequencies of each block, for 1/2, 1/4 or 1/8 a side.
                side = max(2 * shorter_side, LEAST_SIDE)
                picture.draft(None, (side, side))
            picture.load()
            return _to_rgb(_upright(picture), background)
    except UnidentifiedImageError:
        raise PictureError(unreadable(content[:HEAD_BYTES])) from None
    except PictureError:
        raise
    except MemoryError:
        raise PictureTooLarge("the picture needs more memory than is available: send a smaller picture") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):  # Pillow's own limit, checked before ours
        raise PictureTooLarge(f"the picture has far more than {max_pixels:,} pixels: send a smaller picture") from None
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
