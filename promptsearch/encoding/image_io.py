"""Decoding of pictures, with limits that are checked before anything is decoded.

Every picture becomes upright RGB: first frame, EXIF orientation applied, transparency over the model's background,
16-bit greys scaled to 8 bits.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from promptsearch.encoding.decode_memory import DecodeMemory, ThreadsMemory
from promptsearch.encoding.pixels import count_scans, needed_memory, to_rgb
from promptsearch.errors import PictureError, PictureTooLarge
from promptsearch.metadata.embedded.containers import without_metadata
from promptsearch.metadata.embedded.signatures import HEAD_BYTES, kind_of_file
from promptsearch.system.files import open_regular

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
MAX_PIXELS = 64_000_000  # 8000 x 8000: 256 MB decoded
LARGE = 2**23  # pixels, such as 3840 x 2160; larger pictures are reduced before anything else is done with them
PngImagePlugin.MAX_TEXT_MEMORY = 2**22  # bytes of texts, which are read elsewhere: promptsearch/metadata

_UNLIMITED = 2**62  # bytes
_Turn = Image.Transpose
# EXIF 2.32, tag 274: how the first row and column of the file stand.
_TURNS = {2: _Turn.FLIP_LEFT_RIGHT, 3: _Turn.ROTATE_180, 4: _Turn.FLIP_TOP_BOTTOM, 5: _Turn.TRANSPOSE,
          6: _Turn.ROTATE_270, 7: _Turn.TRANSVERSE, 8: _Turn.ROTATE_90}  # fmt: skip
_QUARTER_TURNS = {_Turn.TRANSPOSE, _Turn.ROTATE_270, _Turn.TRANSVERSE, _Turn.ROTATE_90}


class Opened(NamedTuple):
    """A picture in mode RGB, perhaps reduced, and its upright size in the file, (width, height)."""

    image: Image.Image
    size: tuple[int, int]


@dataclass(frozen=True)
class _Limits:
    pixels: int
    memory: DecodeMemory
    seconds: float


def open_picture(
    source: bytes | Path,
    *,
    max_pixels: int = MAX_PIXELS,
    background: tuple[int, int, int] = (255, 255, 255),
    shorter_side: int | None = None,
    memory: DecodeMemory | None = None,
    seconds: float = math.inf,
) -> Image.Image:
    """Return a picture in mode RGB.

    `shorter_side`: pixels that the encoder needs. JPEGs are then decoded at a fraction of their size, and very large
    pictures are reduced, with at least LEAST_SIDE and twice the needed pixels a side, which does not change the vector.
    Raises PictureError for other formats than FORMATS and for damaged files, and PictureTooLarge for more than
    `max_pixels` or `memory` before decoding, and for what takes longer than `seconds` of computing.
    """
    content = source if isinstance(source, bytes) else _content(source)
    limits = _Limits(max_pixels, memory or ThreadsMemory(_UNLIMITED), seconds)
    return _open(content, limits, background, shorter_side, shorter_side).image


def open_whole(
    content: bytes, *, background: tuple[int, int, int], large_side: int, memory: DecodeMemory, seconds: float
) -> Opened:
    """Return a picture in mode RGB and its size in the file; raises as `open_picture` does.

    Only pictures of more than LARGE pixels are reduced, to at least twice `large_side` pixels a side.
    """
    return _open(content, _Limits(MAX_PIXELS, memory, seconds), background, None, large_side)


def _open(
    content: bytes,
    limits: _Limits,
    background: tuple[int, int, int],
    shorter_side: int | None,
    large_side: int | None,
) -> Opened:
    def decode(content: bytes) -> Opened:
        return _decode(content, limits, background, shorter_side, large_side)

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
        with open_regular(path) as file:
            return file.read()
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
    content: bytes,
    limits: _Limits,
    background: tuple[int, int, int],
    shorter_side: int | None,
    large_side: int | None,
) -> Opened:
    """Return a picture in mode RGB, as `open_picture`. Raises PictureError."""
    try:
        file = _TimedFile(content, limits.seconds)
        with Image.open(file, formats=FORMATS) as picture:
            size = picture.size
            if picture.width * picture.height > limits.pixels:
                raise PictureTooLarge(
                    f"the picture has {picture.width} x {picture.height} pixels, the limit is {limits.pixels:,} in "
                    "all: send a smaller picture"
                )
            picture.seek(0)
            scans = count_scans(content) if content.startswith(b"\xff\xd8") else 0
            is_large = picture.width * picture.height > LARGE
            side = shorter_side if shorter_side is not None or not is_large else large_side
            if side is not None:
                # Only JPEG supports this: it leaves out high frequencies of each block, for 1/2, 1/4 or 1/8 a side.
                picture.draft(None, (_least(side), _least(side)))
            factor = max(1, min(picture.size) // _least(side)) if side is not None and is_large else 1
            needed = needed_memory(picture, size, factor, scans, turned="exif" in picture.info)
            with limits.memory.hold(needed):
                file.restart()  # it may have waited for memory
                picture.load()
                file.require_time()  # what is small as a file is read at once
                return _upright(to_rgb(picture, background, factor), _turn(picture), size)
    except UnidentifiedImageError:
        raise PictureError(unreadable(content[:HEAD_BYTES])) from None
    except PictureError:
        raise
    except MemoryError:
        raise PictureTooLarge("the picture needs more memory than is available: send a smaller picture") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):  # Pillow's own limit, checked before ours
        raise PictureTooLarge(
            f"the picture has far more than {limits.pixels:,} pixels: send a smaller picture"
        ) from None
    except Exception as error:  # damaged files raise exceptions of any type in Pillow's decoders
        raise PictureError(f"the picture is damaged: {error}") from error


def _least(side: int) -> int:
    """Return the pixels a side that are left when a picture is reduced for an encoder of so many."""
    return max(2 * side, LEAST_SIDE)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return what makes a picture upright, as its EXIF says; None if it is upright."""
    try:
        return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF does not affect the decoded pixels
        return None


def _upright(rgb: Image.Image, turn: Image.Transpose | None, size: tuple[int, int]) -> Opened:
    if turn is None:
        return Opened(rgb, size)
    return Opened(rgb.transpose(turn), size[::-1] if turn in _QUARTER_TURNS else size)


class _TimedFile(io.BytesIO):
    """A file that can be read until its thread has computed for so many seconds.

    Pillow reads it piece by piece while it decodes. On a busy machine a picture may wait: that is not its fault.
    """

    def __init__(self, content: bytes, seconds: float) -> None:
        super().__init__(content)
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Allow the whole time again."""
        self._end = time.thread_time() + self._seconds

    def require_time(self) -> None:
        """Raise PictureTooLarge if the time is over."""
        if time.thread_time() > self._end:
            raise PictureTooLarge(f"decoding the picture takes longer than {self._seconds:g} s: send a smaller picture")

    def read(self, size: int | None = -1, /) -> bytes:
        self.require_time()
        return super().read(size)
