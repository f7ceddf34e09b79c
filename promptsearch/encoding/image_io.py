"""Bytes or a file to an upright RGB picture, with limits that hold before anything is decoded.

First frame, EXIF orientation applied, transparency over the model's background, 16-bit greys scaled to 8: every
format that Pillow reads ends as the same kind of picture, in builder and service alike.
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


# By content, never by name. What Pillow could also read (EPS, PDF, FITS, ...) is old, rare or runs other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *_plugged_in())
LEAST_SIDE = 256  # pixels that no JPEG is reduced below: what a small encoder sees is made of sharp edges
MAX_PIXELS = 64_000_000  # 8000 x 8000: 192 MB decoded


def open_picture(
    source: bytes | Path,
    *,
    max_pixels: int = MAX_PIXELS,
    background: tuple[int, int, int] = (255, 255, 255),
    shorter_side: int | None = None,
) -> Image.Image:
    """Decode to mode RGB, at full size unless fewer pixels will do.

    `shorter_side`: what the encoder will see. A format that can be decoded at a fraction of its size (JPEG) then is,
    with LEAST_SIDE and at least twice the pixels a side that are needed: the vector stays what it would have been.

    Raises PictureError for what is no picture of FORMATS or is damaged, PictureTooLarge for more than `max_pixels`
    (read from the header, before decoding).
    """
    content = source if isinstance(source, bytes) else _content(source)
    decode = partial(_decode, max_pixels=max_pixels, background=background, shorter_side=shorter_side)
    try:
        return decode(content)
    except PictureTooLarge:
        raise
    except PictureError as error:
        # Pillow refuses good pixels for the size of a text or profile beside them, or damage there.
        for keep_exif in (True, False):  # which says how it is turned
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
    """Say why a file of these first bytes is no picture that can be read, and what to do."""
    kind = kind_of_file(head)
    if kind in PLUGINS:
        return f"{kind} pictures cannot be read: install {PLUGINS[kind][2]}"
    readable = f"readable are {', '.join(FORMATS)}"
    return f"{kind}s are not read: {readable}" if kind else f"this is not a picture that can be read; {readable}"


def _decode(
    content: bytes, *, max_pixels: int, background: tuple[int, int, int], shorter_side: int | None
) -> Image.Image:
    """Raises PictureError."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > max_pixels:
                raise PictureTooLarge(
                    f"the picture has {picture.width} x {picture.height} pixels, the limit is {max_pixels:,} in all: "
                    "send a smaller one"
                )
            picture.seek(0)
            if shorter_side is not None:
                # JPEG alone has this: it leaves out the high frequencies of each block, to 1/2, 1/4 or 1/8 a side.
                side = max(2 * shorter_side, LEAST_SIDE)
                picture.draft(None, (side, side))
            picture.load()
            return _to_rgb(_upright(picture), background)
    except UnidentifiedImageError:
        raise PictureError(unreadable(content[:HEAD_BYTES])) from None
    except PictureError:
        raise
    except MemoryError:
        raise PictureTooLarge("the picture needs more memory than there is: send a smaller one") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):  # Pillow's own limit, before ours is asked
        raise PictureTooLarge(f"the picture has far more than {max_pixels:,} pixels: send a smaller one") from None
    except Exception as error:  # Pillow's decoders raise whatever the damage leads to
        raise PictureError(f"the picture is damaged: {error}") from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF says nothing about the pixels, which were decoded
        return picture


def _to_rgb(picture: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        picture = _to_8_bit(picture)
    if picture.mode in ("LA", "La", "PA", "RGBa", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        under = Image.new("RGBA", picture.size, (*background, 255))
        return Image.alpha_composite(under, picture).convert("RGB")
    return picture.convert("RGB")


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """Greys of 16 bits or more as 8; Pillow's own conversion clips them instead of scaling."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    # Integer modes hold 16-bit files; a float picture has no fixed white, so its brightest value is taken as one.
    white = 65535.0 if picture.mode != "F" else max(float(values.max(initial=0.0)), 1e-12)
    return Image.fromarray(np.clip(values * (255.0 / white) + 0.5, 0, 255).astype(np.uint8))
