"""Read text hidden in a PNG's pixels: the lowest bit of alpha, or of red, green and blue ("stealth PNG info").

Bits run down the columns. A signature of 15 bytes comes first, then the length of the text in bits, then the text,
which may be compressed with gzip.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptsearch.metadata.embedded.containers import blocks_of

MAX_PIXELS = 64_000_000
MAX_BYTES = 2**24  # of the text
_SIGNATURES = {
    b"stealth_pnginfo": ("alpha", False),
    b"stealth_pngcomp": ("alpha", True),
    b"stealth_rgbinfo": ("rgb", False),
    b"stealth_rgbcomp": ("rgb", True),
}
_HEAD_BITS = 15 * 8
_ROWS = _HEAD_BITS  # that hold a signature: one bit a row in alpha, three bits a row in RGB
_RGB, _RGBA = 2, 6  # PNG 1.2, 4.1.1: colour types
_MAX_WIDTH = 2**15


def read_stealth(file: BinaryIO) -> str | None:
    """Return the hidden text of a PNG file; None if it has none. Raises Pillow's errors for a damaged file."""
    head = _top_rows(file)
    if head is None:
        return None
    with Image.open(io.BytesIO(head), formats=("PNG",)) as top:
        if _signature(np.asarray(top)) is None:
            return None
    file.seek(0)
    with Image.open(file, formats=("PNG",)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            return None
        return _text(np.asarray(picture))


def _top_rows(file: BinaryIO) -> bytes | None:
    """Return a PNG of just the first rows, which show whether there is a text at a fraction of the cost.

    A row depends only on the rows above it, so the compressed rows are truncated and wrapped again. None for pictures
    that cannot hold such a text: those that are interlaced, or not 8-bit RGB or RGBA.
    """
    header, rows = b"", bytearray()
    inflate, wanted = zlib.decompressobj(), 0
    for block in blocks_of(file) or ():
        if block.name == "IHDR":
            header = block.read()
            if len(header) != 13:
                return None
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", header)
            if depth != 8 or colours not in (_RGB, _RGBA) or interlaced or not 0 < width <= _MAX_WIDTH or not height:
                return None
            top = min(height, _ROWS)
            wanted = top * (1 + width * (4 if colours == _RGBA else 3))
        elif block.name == "IDAT" and header:
            rows += inflate.decompress(inflate.unconsumed_tail + block.read(), wanted - len(rows))
            if len(rows) >= wanted:
                break
    if not header or len(rows) < wanted:
        return None
    cut = struct.pack(">II", width, top) + header[8:]
    chunks = ((b"IHDR", cut), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _signature(pixels: NDArray[np.uint8]) -> tuple[str, bool] | None:
    """Return the channel of the text (alpha or rgb) and whether it is compressed; None without a signature."""
    places = ("alpha", "rgb") if pixels.shape[-1] == 4 else ("rgb",)
    for place in places:
        signature = _SIGNATURES.get(_bytes(_bits(pixels, place, _HEAD_BITS)))
        if signature is not None and signature[0] == place:
            return signature
    return None


def _bits(pixels: NDArray[np.uint8], place: str, count: int) -> NDArray[np.uint8]:
    """Return the first `count` hidden bits, uint8 [count] of 0 and 1.

    They run down the columns, and within each pixel from red to green to blue.
    """
    channels = pixels[..., 3:4] if place == "alpha" else pixels[..., :3]
    height, _, depth = channels.shape
    columns = -(-count // (height * depth))
    return channels[:, :columns].transpose(1, 0, 2).reshape(-1)[:count] & np.uint8(1)


def _bytes(bits: NDArray[np.uint8]) -> bytes:
    return np.packbits(bits).tobytes()


def _text(pixels: NDArray[np.uint8]) -> str | None:
    signature = _signature(pixels)
    if signature is None:
        return None
    place, compressed = signature
    length = int.from_bytes(_bytes(_bits(pixels, place, _HEAD_BITS + 32)[_HEAD_BITS:]), "big")
    room = pixels.shape[0] * pixels.shape[1] * (1 if place == "alpha" else 3)
    if not 0 < length <= min(8 * MAX_BYTES, room):
        return None
    content = _bytes(_bits(pixels, place, _HEAD_BITS + 32 + length)[_HEAD_BITS + 32 :])
    if compressed:
        content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, MAX_BYTES)  # gzip
    return content.decode("utf-8", "replace")
