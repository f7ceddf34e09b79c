"""Hostile and damaged uploads: each gets an answer or a 4xx, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.service.http.test_body_limit import peak_memory
from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer, check_problem
from tests.support.drawing import as_bytes, picture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SAMPLES = b"\x15\x01\x03\0\x01\0\0\0"  # the head of the field of a TIFF that has the number of samples a pixel
GOOD = {format: as_bytes(picture(3, 80, 60), format) for format in FORMATS}
MEMORY = 600 * 2**20  # bytes above the start: a picture of the largest allowed size is 150 MB as RGB, and is resized
DEADLINE = 30  # seconds for one upload, on a busy machine; what takes longer is answered 503


def png(width: int, height: int, data: bytes, *, before: bytes = b"") -> bytes:
    """Return a PNG with any header; `before` are chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff"


def bmp_header(side: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, *[0] * 6)


def animated(format: str, frames: int) -> bytes:
    first, *rest = [picture(seed, 40, 40) for seed in range(frames)]
    return as_bytes(first, format, save_all=True, append_images=rest, duration=10)


ZEROS = zlib.compress(bytes(100_000_000), 9)  # 100 MB in 100 KB
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script><image href="file:///etc/passwd"/></svg>'
HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
ENTITIES = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><svg>&b;</svg>'

REFUSED = {
    "nothing": b"",
    "one byte": b"\x89",
    "zeros": bytes(100_000),
    "SVG": SVG,
    "SVG with entities": ENTITIES,
    "HTML": HTML,
    "PDF": b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n%%EOF",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
    "zip": b"PK\x03\x04" + bytes(200),
    "gzip bomb": gzip.compress(bytes(50_000_000)),
    "executable": b"\x7fELF" + bytes(200),
    "wrong magic": b"\x89PNG\r\n\x1a\n" + GOOD["JPEG"],
    "magic alone": b"\xff\xd8\xff\xe0",
    "PNG header of 2^31 pixels a side": png(2**31 - 1, 2**31 - 1, b""),
    "PNG of no size": png(0, 0, b""),
    "PNG bomb within the limit, with too little data": png(7000, 7000, zlib.compress(b"")),
    "PNG bomb": png(30_000, 30_000, ZEROS),
    "TIFF of 38 samples a pixel": GOOD["TIFF"].replace(SAMPLES + b"\x03", SAMPLES + b"\x26"),
    "GIF header of 65535 pixels a side": gif_header(65535, 65535) + b"\x2c" + bytes(9) + b"\x02\x00\x3b",
    "BMP header of 2^31 pixels a side": bmp_header(2**31 - 1),
    "TIFF whose directory is itself": b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + b"\x08\0\0\0",
    "JPEG header of 65535 pixels a side": GOOD["JPEG"].replace(struct.pack(">HH", 60, 80), b"\xff\xff\xff\xff", 1),
    **{f"{format} cut in half": content[: len(content) // 2] for format, content in GOOD.items() if format != "GIF"},
    **{f"{format} after a text": b"x" * 600 + content for format, content in GOOD.items()},
}  # fmt: skip
# What Pillow calls a picture although more, or less, is there than should be: taken or refused, but never trouble.
EITHER = {
    "PNG that is HTML as well": GOOD["PNG"] + HTML,
    "GIF that is JavaScript as well": GOOD["GIF"] + b"*/=alert(1)",
    "JPEG that is a zip as well": GOOD["JPEG"] + b"PK\x05\x06" + bytes(18),
    "GIF cut in half": GOOD["GIF"][: len(GOOD["GIF"]) // 2],
    "PNG with a text of 100 MB": png(8, 8, zlib.compress(bytes(8 * 25)), before=chunk(b"zTXt", b"a\0\0" + ZEROS)),
    "PNG with a profile of 100 MB": png(8, 8, zlib.compress(bytes(8 * 25)), before=chunk(b"iCCP", b"a\0\0" + ZEROS)),
    "PNG with more data than pixels": png(8, 8, ZEROS),
    "GIF animation": animated("GIF", 200),
    "WEBP animation": animated("WEBP", 50),
    "PNG animation": animated("PNG", 50),
    "TIFF of many pages": animated("TIFF", 50),
    "JPEG with a huge EXIF": as_bytes(picture(1), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60_000)),
    "wide and flat": as_bytes(Image.new("RGB", (60_000, 1))),
    "high and narrow": as_bytes(Image.new("L", (1, 60_000))),
    "as large as may be": as_bytes(Image.new("1", (7000, 7000))),
}


@pytest.fixture(scope="module")
def target(indices: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a separate service, whose memory depends on these uploads alone."""
    flags = ("--indices", str(indices), "--models", str(models), "--deadline", str(DEADLINE))
    with serving(tmp_path_factory.mktemp("hostile"), flags) as service:
        check_answer(upload(service, GOOD["PNG"]), "images")
        before = peak_memory(service)
        yield service
        assert peak_memory(service) < before + MEMORY
        assert service.end() == 0
        assert service.errors() == []


def upload(service: Service, content: bytes, name: str = "picture.png") -> httpx.Response:
    return httpx.post(f"{service.url}/search/images", files={"image": (name, content, "image/png")}, timeout=START)


def check_either(response: httpx.Response) -> None:
    if response.status_code == 200:
        check_answer(response, "images")
    else:
        assert response.status_code in (413, 415)
        check_problem(response, response.status_code, response.json()["type"].rpartition(":")[2])


@pytest.mark.parametrize("what", REFUSED)
def test_other_files_than_pictures_are_refused(target: Service, what: str) -> None:
    response = upload(target, REFUSED[what])
    assert response.status_code in (413, 415), response.text
    assert check_problem(response, response.status_code, response.json()["type"].rpartition(":")[2])


@pytest.mark.parametrize("what", EITHER)
def test_pictures_with_additional_content_are_answered_or_refused(target: Service, what: str) -> None:
    check_either(upload(target, EITHER[what]))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0.png", "x" * 5000, "'; DROP TABLE images; --", ""])
def test_any_upload_name_is_answered_or_refused(target: Service, name: str) -> None:
    content = upload(target, GOOD["PNG"], name)
    assert content.status_code in (200, 400)
    if content.status_code == 200:
        check_answer(content, "images")


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_good_picture_that_was_damaged_is_a_picture_or_refused(
    target: Service, client: httpx.Client, format: str, data: st.DataObject
) -> None:
    content = bytearray(GOOD[format])
    # Most of what can go wrong stands in the first bytes.
    places = st.integers(0, min(200, len(content) - 1)) | st.integers(0, len(content) - 1)
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
        content[at] = byte
    end = data.draw(st.just(len(content)) | st.integers(1, len(content)))
    more = data.draw(st.binary(max_size=50))
    files = {"image": ("a", bytes(content[:end]) + more)}
    check_either(client.post(f"{target.url}/search/images", files=files, timeout=START))


@pytest.mark.parametrize(
    ("mode", "format"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("1", "PNG"), ("I;16", "PNG"), ("I;16", "TIFF"),
     ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("L", "JPEG"), ("F", "TIFF")],
)  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (50, 30)])
def test_every_kind_of_pixel_gives_a_result(target: Service, mode: str, format: str, size: tuple[int, int]) -> None:
    """The pixels that each becomes are tested with promptsearch/encoding/image_io.py."""
    image = Image.new(mode, size) if mode in ("I;16", "F") else picture(2, *size).convert(mode)
    out = io.BytesIO()
    image.save(out, format)
    assert check_answer(upload(target, out.getvalue()), "images")["results"]
