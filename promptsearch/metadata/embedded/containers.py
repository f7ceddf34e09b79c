"""Iterate over the blocks of PNG, JPEG, WebP and JPEG XL files, without decoding their pixels.

Iteration ends for any input: a block that is truncated, or longer than the file, is the last one.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BLOCKS = 100_000  # of one file; a PNG of 64 million pixels has 8,000 IDAT chunks of 8 KB
MAX_BLOCK_BYTES = 2**26  # read from one block
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = b"IDAT"
_JPEG_XL = b"\0\0\0\x0cJXL \r\n\x87\n"  # in boxes; the codestream alone has no metadata
# JPEG markers (ITU-T T.81, table B.1): those without a length, and those that only pixels follow.
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_ENDS = frozenset({0xD9, 0xDA})
_JPEG_APP = range(0xE0, 0xF0)
_JPEG_COMMENT = 0xFE
_JPEG_NEEDED_APPS = frozenset({0xE0, 0xEE})  # JFIF, and Adobe's, which declares the colour space


@dataclass(frozen=True)
class Block:
    """One block. `name` is that of a PNG or RIFF chunk or of a JPEG XL box, or `APP1`, `COM`, `FFxx` for JPEG."""

    name: str
    start: int  # offset of the whole block in the file
    end: int
    read: Callable[[], bytes]  # returns at most MAX_BLOCK_BYTES of its content; the file must be open


def blocks_of(file: BinaryIO) -> Iterator[Block] | None:
    """Return an iterator over the blocks of a PNG, JPEG, WebP or JPEG XL file, in order; None for others."""
    file.seek(0)
    head = file.read(12)
    if head.startswith(_PNG):
        return _png_chunks(file)
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg_segments(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _riff_chunks(file)
    return _boxes(file) if head == _JPEG_XL else None


def is_png(file: BinaryIO) -> bool:
    """Return whether the file starts with PNG's signature."""
    file.seek(0)
    return file.read(len(_PNG)) == _PNG


def without_metadata(content: bytes, *, keep_exif: bool) -> bytes | None:
    """Return the file without its metadata; None if it has none, or is of another kind.

    Texts, XMP and colour profiles are removed, and EXIF unless `keep_exif`; blocks that affect the pixels (palette,
    transparency, Adobe's marker) are kept.
    """
    kept = bytearray()
    last = 0
    removed = False
    for block in blocks_of(io.BytesIO(content)) or ():
        last = block.end
        if _is_beside(block.name) and not (keep_exif and _is_exif(block)):
            removed = True
            kept = kept or bytearray(content[: block.start])
        elif removed:
            kept += content[block.start : block.end]
    if not removed:
        return None
    kept += content[last:]
    if kept[:4] == b"RIFF":
        kept[4:8] = struct.pack("<I", min(len(kept) - 8, 0xFFFFFFFF))
    return bytes(kept)


def _is_beside(name: str) -> bool:
    if name.startswith("APP"):
        return 0xE0 + int(name[3:]) not in _JPEG_NEEDED_APPS
    return name in ("COM", "EXIF", "XMP ", "ICCP", "tEXt", "zTXt", "iTXt", "eXIf", "iCCP", "comf")


def _is_exif(block: Block) -> bool:
    return block.name in ("EXIF", "eXIf") or (block.name == "APP1" and block.read().startswith(b"Exif"))


def _png_chunks(file: BinaryIO) -> Iterator[Block]:
    """Yield PNG chunks (PNG 1.2, 3.2): length, name, content, checksum."""
    start = len(_PNG)
    for _ in range(MAX_BLOCKS):
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        end = start + 12 + length
        yield Block(name.decode("latin-1"), start, end, _reader(file, start + 8, length))
        if name == b"IEND":
            return
        start = end


def _jpeg_segments(file: BinaryIO) -> Iterator[Block]:
    """Yield JPEG segments (ITU-T T.81, B.1.1.4): a marker, then a length that includes itself."""
    start = 2
    for _ in range(MAX_BLOCKS):
        file.seek(start)
        head = file.read(4)
        if len(head) < 2 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF:  # a fill byte
            start += 1
            continue
        if marker in _JPEG_ENDS or len(head) < 4:
            return
        if marker in _JPEG_ALONE:
            start += 2
            continue
        length = int.from_bytes(head[2:], "big")
        if length < 2:
            return
        yield Block(_jpeg_name(marker), start, start + 2 + length, _reader(file, start + 4, length - 2))
        start += 2 + length


def _jpeg_name(marker: int) -> str:
    if marker in _JPEG_APP:
        return f"APP{marker - 0xE0}"
    return "COM" if marker == _JPEG_COMMENT else f"FF{marker:02X}"


def _riff_chunks(file: BinaryIO) -> Iterator[Block]:
    """Yield the RIFF chunks of WebP: name, length, content, and a byte of padding after an odd length."""
    start = 12
    for _ in range(MAX_BLOCKS):
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = struct.unpack("<4sI", head)
        end = start + 8 + length + (length & 1)
        yield Block(name.decode("latin-1"), start, end, _reader(file, start + 8, length))
        start = end


def _boxes(file: BinaryIO) -> Iterator[Block]:
    """Yield JPEG XL's boxes (ISO/IEC 14496-12, 4.2): length of the whole box, name, content."""
    start = 0
    for _ in range(MAX_BLOCKS):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head[:8])
        head_length = 8
        if length == 1 and len(head) == 16:  # the length has 64 bits
            length, head_length = int.from_bytes(head[8:], "big"), 16
        elif length == 0:  # up to the end
            length = file.seek(0, os.SEEK_END) - start
        if length < head_length:
            return
        content = _reader(file, start + head_length, length - head_length)
        yield Block(name.decode("latin-1"), start, start + length, content)
        start += length


def _reader(file: BinaryIO, start: int, length: int) -> Callable[[], bytes]:
    def read() -> bytes:
        file.seek(start, os.SEEK_SET)
        return file.read(min(length, MAX_BLOCK_BYTES))

    return read
