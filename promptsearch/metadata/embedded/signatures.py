"""Recognise the kind of a file by its first bytes, never by its name."""

from __future__ import annotations

HEAD_BYTES = 32
_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"8BPS", "PSD"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x1aE\xdf\xa3", "WebM video"),
)
# ISO/IEC 14496-12, 4.3: the brands at the start of an ISO base media file.
_BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"heim": "HEIC",
    b"heis": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"qt  ": "MOV video",
}  # fmt: skip


def kind_of_file(head: bytes) -> str | None:
    """Return the kind of picture or video of a file with these first HEAD_BYTES; None if it is neither."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        # The major brand is often generic; the specific one is among the compatible brands.
        brands = [head[8:12], *(head[place : place + 4] for place in range(16, len(head), 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "AVIF" if "AVIF" in known else known[0] if known else "MP4 video"
    return "BMP" if head[:2] == b"BM" and len(head) >= 26 and head[15:18] == b"\0\0\0" else None
