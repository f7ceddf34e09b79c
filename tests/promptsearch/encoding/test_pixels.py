"""Large pictures become RGB in bands: the same pixels as at once, with a fraction of the memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promptsearch.encoding import pixels
from promptsearch.encoding.decode_memory import DECODE_MEMORY, ThreadsMemory
from promptsearch.encoding.image_io import LARGE, open_picture, open_whole
from promptsearch.encoding.pixels import MAX_SCANS, count_scans, to_rgb
from promptsearch.errors import PictureTooLarge
from tests.support.drawing import as_bytes, picture

WHITE = (255, 255, 255)
SIDE = 7060  # pixels: 50 million in all
# What one process takes for a picture of SIDE x SIDE pixels in a palette, besides what it takes without.
PEAK = """
import resource, sys
from promptsearch.encoding.image_io import open_picture
content = open(sys.argv[1], "rb").read()
open_picture(content[:0] or open(sys.argv[2], "rb").read(), shorter_side=224)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
open_picture(content, shorter_side=224)
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.fixture(scope="module")
def palette() -> bytes:
    """Return a PNG of a few kilobytes and 50 million pixels with a transparent colour."""
    content = as_bytes(Image.new("P", (SIDE, SIDE)), transparency=0, optimize=True)
    assert len(content) < 100_000
    return content


def test_a_small_file_of_a_large_picture_takes_little_memory(palette: bytes, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(palette)
    (tmp_path / "small.png").write_bytes(as_bytes(picture()))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "large.png"), str(tmp_path / "small.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 120 * 2**20  # 50 MB are the pixels themselves


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "L", "1", "I;16", "F", "CMYK", "RGB"])
@pytest.mark.parametrize("factor", [1, 3])
def test_bands_change_no_pixel(mode: str, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (101, 67)
    if mode in ("I;16", "F"):
        values = np.random.default_rng(1).integers(0, 65536, size[::-1])
        image = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.float32))
    else:
        image = picture(1, *size).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    whole = to_rgb(image, WHITE, factor)
    monkeypatch.setattr(pixels, "_BAND", 500)
    banded = to_rgb(image, WHITE, factor)
    assert (whole.mode, whole.size) == ("RGB", (-(-size[0] // factor), -(-size[1] // factor)))
    assert np.array_equal(np.asarray(whole), np.asarray(banded))


def test_large_pictures_keep_their_size_and_colours() -> None:
    image = picture(2, 96, 64).resize((3600, 2400), Image.Resampling.NEAREST)
    assert image.width * image.height > LARGE
    opened = open_whole(
        as_bytes(image, compress_level=1), background=WHITE, large_side=256, memory=ThreadsMemory(), seconds=60
    )
    assert opened.size == (3600, 2400)
    assert min(opened.image.size) >= 512
    small = np.asarray(opened.image.resize((96, 64), Image.Resampling.BOX), dtype=int)
    assert np.abs(small - np.asarray(picture(2, 96, 64), dtype=int)).mean() < 12


def test_a_turned_picture_has_its_upright_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        content = as_bytes(picture(0, 60, 40), format, exif=exif)
        opened = open_whole(content, background=WHITE, large_side=256, memory=ThreadsMemory(), seconds=60)
        assert (opened.size, opened.image.size) == ((40, 60), (40, 60)), format


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_usual_pictures_need_little_of_the_memory(format: str) -> None:
    opened = open_picture(as_bytes(picture(0, 1024, 1024), format), memory=ThreadsMemory(DECODE_MEMORY // 8))
    assert opened.size == (1024, 1024)


def test_a_picture_that_exceeds_the_memory_is_refused(palette: bytes) -> None:
    with pytest.raises(PictureTooLarge, match=r"takes \d+ MiB of memory, 16 are allowed: send a smaller picture"):
        open_picture(palette, shorter_side=224, memory=ThreadsMemory(2**24))
    open_picture(palette, shorter_side=224, memory=ThreadsMemory(DECODE_MEMORY))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_slow_decoding_is_refused() -> None:
    """Half a million empty chunks of pixels take seconds to read."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(bytes(8 * 25))) + chunk(b"IEND", b"")
    with pytest.raises(PictureTooLarge, match="takes longer than"):
        open_picture(head + chunk(b"IDAT", b"") * 500_000 + rest, seconds=0.01)
    open_picture(head + chunk(b"IDAT", b"") * 100 + rest, seconds=60)


def scans_of(jpeg: bytes) -> tuple[int, int]:
    """Return where the last scan of a progressive JPEG starts and ends."""
    start = jpeg.rindex(b"\xff\xda")
    return start, jpeg.rindex(b"\xff\xd9")


def test_a_jpeg_of_many_scans_is_refused() -> None:
    jpeg = as_bytes(picture(0, 200, 200), "JPEG", progressive=True)
    usual = count_scans(jpeg)
    assert 4 <= usual <= 12
    start, end = scans_of(jpeg)
    many = jpeg[:end] + jpeg[start:end] * 200 + jpeg[end:]
    with pytest.raises(PictureTooLarge, match=f"more than {MAX_SCANS} scans"):
        open_picture(many)
    # What follows the picture, or stands in its metadata, is no scan.
    assert count_scans(jpeg + b"\xff\xda\0\x02" * 500) == usual
    assert count_scans(as_bytes(picture(), "JPEG", exif=b"Exif\0\0" + b"\xff\xda\0\x02" * 500)) == 1
    assert count_scans(b"\xff\xd8" + b"\xff" * 10_000) == 0
    with Image.open(io.BytesIO(jpeg)) as image:
        image.load()
