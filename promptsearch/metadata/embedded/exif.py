"""EXIF: read the texts of the tags that image generators use, from the TIFF structure itself.

Pillow reads EXIF, too, but it neither exposes the byte order, in which the comment is often encoded, nor continues
after a damaged tag.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping

from promptsearch.metadata.text_decoding import decode_comment, decode_loosely

# Exif 2.32, 4.6: tags of the primary directory and of the Exif directory.
_NAMES: Mapping[int, str] = {
    0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software", 0x013B: "Artist",
    0x02BC: "XMLPacket", 0x8298: "Copyright", 0x927C: "MakerNote", 0x9286: "UserComment", 0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
}  # fmt: skip
_EXIF_DIRECTORY = 0x8769
_WINDOWS_TEXTS = (0x9C9B, 0x9C9C)  # UTF-16, little endian, in bytes
_BYTES, _ASCII, _LONG, _UNDEFINED, _DIRECTORY, _UTF_8 = 1, 2, 4, 7, 13, 129
_TEXT_TYPES = (_ASCII, _BYTES, _UNDEFINED, _UTF_8)
_MAX_TAGS = 1000  # of one directory
_MAX_DIRECTORIES = 8
# ComfyUI's WebP and JPEG files, and programs that imitate them: a name and a colon before the JSON, in any tag.
_NAMED = re.compile(r"\s*(prompt|workflow)\s*:\s*(?=\{)", re.IGNORECASE)


def read_exif(content: bytes) -> dict[str, str]:
    """Return the texts of an EXIF block, with or without its `Exif` prefix, by the names of the tags.

    A text that begins with `prompt:{` or `workflow:{` gets that name, whatever its tag. Empty if this is not EXIF.
    """
    content = content.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None or len(content) < 8:
        return {}
    fields: dict[str, str] = {}
    for tag, value in _tags(content, order):
        decoded = _text(tag, value, order)
        if not decoded:
            continue
        if named := _NAMED.match(decoded):
            fields.setdefault(named[1].lower(), decoded[named.end() :])
        elif tag in _NAMES:
            fields.setdefault(_NAMES[tag], decoded)
    return fields


def _text(tag: int, value: bytes, order: str) -> str:
    if tag == 0x9286:
        return decode_comment(value, big_endian=order == ">")
    if tag in _WINDOWS_TEXTS:
        return value.decode("utf-16-le", "ignore").rstrip("\0")
    return decode_loosely(value.rstrip(b"\0"))


def _tags(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the tags with bytes or text from the primary directory and the Exif directory, with their content."""
    (first,) = struct.unpack_from(f"{order}I", content, 4)
    waiting, seen = [first], set[int]()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        place = waiting.pop(0)
        if place in seen or place + 2 > len(content):
            continue
        seen.add(place)
        (count,) = struct.unpack_from(f"{order}H", content, place)
        for entry in range(place + 2, place + 2 + 12 * min(count, _MAX_TAGS), 12):
            if entry + 12 > len(content):
                break
            tag, kind, length, offset = struct.unpack_from(f"{order}HHII", content, entry)
            if tag == _EXIF_DIRECTORY and kind in (_LONG, _DIRECTORY):
                waiting.append(offset)
            elif kind in _TEXT_TYPES:
                start = entry + 8 if length <= 4 else offset
                yield tag, content[start : start + length]
