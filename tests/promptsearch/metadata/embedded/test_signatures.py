from __future__ import annotations

import pytest

from promptsearch.metadata.embedded.signatures import HEAD_BYTES, kind_of_file
from tests.support.drawing import as_bytes, picture


@pytest.mark.parametrize(
    ("format", "kind"),
    [("WEBP", "WebP"), *((format, format) for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "AVIF"))],
)
def test_pictures_that_are_read(format: str, kind: str) -> None:
    assert kind_of_file(as_bytes(picture(), format)[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"8BPS\0\x01", "PSD"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "MP4 video"),
        (b"\x1aE\xdf\xa3", "WebM video"),
        (b"BMW is a maker of cars, you know", None),
        (b"", None),
        (b"a text", None),
        (b"PK\x03\x04", None),
    ],
)
def test_others_are_named_if_they_are_pictures_or_videos(head: bytes, kind: str | None) -> None:
    assert kind_of_file(head) == kind
