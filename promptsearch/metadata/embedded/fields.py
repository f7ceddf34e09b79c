"""Read all texts of a picture file by name, from PNG, JPEG, WebP, JPEG XL and other formats that Pillow opens."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO

from PIL import Image

from promptsearch.metadata.embedded.containers import MAX_BLOCK_BYTES, blocks_of
from promptsearch.metadata.embedded.exif import read_exif
from promptsearch.metadata.embedded.xmp import read_xmp
from promptsearch.metadata.text_decoding import decode_loosely

MAX_TEXT_BYTES = 2**25  # of one text, decompressed; ComfyUI's workflows have up to a few million bytes
_XMP_IN_PNG = "XML:com.adobe.xmp"
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
# Formats without a reader here, whose metadata Pillow reads; HEIF if its plugin is registered.
_OTHERS = ("GIF", "AVIF", "HEIF")


def read_fields(file: BinaryIO) -> dict[str, str]:
    """Return the texts of a picture file by name: PNG's keywords, EXIF's tags, `xmp.<name>`, `comment`.

    Of texts with the same name the first is kept. A damaged text does not affect the others.
    """
    blocks = blocks_of(file)
    if blocks is None:
        return _read_others(file)
    fields: dict[str, str] = {}
    for block in blocks:
        if read := _READERS.get(block.name):
            for name, value in read(block.read()).items():
                fields.setdefault(name, value)
    return fields


def _read_others(file: BinaryIO) -> dict[str, str]:
    """Read formats that have no reader here. Raises Pillow's errors for damaged files and other content."""
    file.seek(0)
    if file.read(4) in (b"II*\0", b"MM\0*"):  # TIFF, the structure that EXIF is in
        file.seek(0)
        return read_exif(file.read(MAX_BLOCK_BYTES))
    file.seek(0)
    Image.init()
    with Image.open(file, formats=[format for format in _OTHERS if format in Image.OPEN]) as picture:
        info = picture.info
        fields = read_exif(info.get("exif", b""))
    for name, value in info.items():
        if name == "xmp" and isinstance(value, bytes):
            fields |= _xmp(value)
        elif isinstance(name, str) and isinstance(value, str | bytes) and name not in ("exif", "icc_profile"):
            fields.setdefault(name, value if isinstance(value, str) else decode_loosely(value))
    return fields


def _text_chunk(content: bytes) -> dict[str, str]:
    """Read PNG's tEXt (PNG 1.2, 4.2.3.1). The format requires Latin-1, but many programs write UTF-8."""
    name, _, value = content.partition(b"\0")
    return {name.decode("latin-1"): decode_loosely(value)}


def _compressed_chunk(content: bytes) -> dict[str, str]:
    """Read PNG's zTXt (PNG 1.2, 4.2.3.2): keyword, method, compressed text."""
    name, _, value = content.partition(b"\0")
    return _named(name, _inflate(value[1:]))


def _international_chunk(content: bytes) -> dict[str, str]:
    """Read PNG's iTXt (PNG 1.2, 4.2.3.3): keyword, compression flag and method, language, translated keyword, UTF-8."""
    name, _, rest = content.partition(b"\0")
    compressed = rest[:1] == b"\1"
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, value = rest.partition(b"\0")
    plain = _inflate(value) if compressed else value
    if plain is not None and name.decode("latin-1") == _XMP_IN_PNG:
        return _xmp(plain)
    return _named(name, plain)


def _named(name: bytes, value: bytes | None) -> dict[str, str]:
    return {} if value is None else {name.decode("latin-1"): decode_loosely(value)}


def _inflate(content: bytes) -> bytes | None:
    """Return the decompressed bytes; None if they are damaged or more than MAX_TEXT_BYTES."""
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(content, MAX_TEXT_BYTES)
    except zlib.error:
        return None
    return None if inflate.unconsumed_tail else plain


def _app1(content: bytes) -> dict[str, str]:
    if content.startswith(_XMP_IN_JPEG):
        return _xmp(content.removeprefix(_XMP_IN_JPEG))
    return read_exif(content) if content.startswith(b"Exif\0\0") else {}


def _exif_box(content: bytes) -> dict[str, str]:
    """Read JPEG XL's EXIF, behind four bytes with its offset, which pillow-jxl-plugin leaves out."""
    return read_exif(content) or read_exif(content[4:])


def _xmp(packet: bytes) -> dict[str, str]:
    return {f"xmp.{name}": value for name, value in read_xmp(packet).items()}


def _comment(content: bytes) -> dict[str, str]:
    return {"comment": decode_loosely(content.rstrip(b"\0"))}


_READERS: Mapping[str, Callable[[bytes], dict[str, str]]] = {
    "tEXt": _text_chunk,
    "zTXt": _compressed_chunk,
    "iTXt": _international_chunk,
    "comf": _text_chunk,  # ComfyUI's animated PNG
    "eXIf": read_exif,
    "APP1": _app1,
    "COM": _comment,
    "EXIF": read_exif,
    "XMP ": _xmp,
    "Exif": _exif_box,
    "xml ": _xmp,
}
