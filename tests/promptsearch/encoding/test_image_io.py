"""Every kind of picture becomes upright RGB; anything else is a PictureError."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.image_io import FORMATS, LEAST_SIDE, open_picture
from promptsearch.errors import PictureError, PictureTooLarge
from tests.support.drawing import as_bytes, picture

ROOT = Path(__file__).parents[3]
DRAWINGS = sorted((ROOT / "builder" / "demo" / "emoji" / "images").glob("*/*.webp"))[::300]
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def half(left: tuple[int, int, int], right: tuple[int, int, int]) -> Image.Image:
    """Return a picture of 4 x 2 pixels with two colours."""
    image = Image.new("RGB", (4, 2), left)
    image.paste(right, (2, 0, 4, 2))
    return image


def close(image: Image.Image, place: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    """Return whether a pixel has a colour, within what lossy formats lose."""
    pixel = np.asarray(image, dtype=int)[place[1], place[0]]
    return int(np.abs(pixel - colour).max()) <= 8


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data, b"IEND")
    )


@pytest.mark.parametrize(
    "format", FORMATS
)  # with HEIF and JXL if their plugins are installed, as `make setup-all` does
def test_each_format_is_read_from_bytes_and_files(format: str, tmp_path: Path) -> None:
    options = {"JXL": {"lossless": True}}.get(format, {})  # else it loses more of red than `close` allows
    data = as_bytes(half(RED, BLUE).resize((64, 32), Image.Resampling.NEAREST), format, **options)
    (tmp_path / "no-suffix").write_bytes(data)
    for source in (data, tmp_path / "no-suffix"):
        image = open_picture(source)
        assert (image.mode, image.size) == ("RGB", (64, 32))
        assert close(image, (2, 2), RED)
        assert close(image, (62, 30), BLUE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that stores the picture in that orientation
    image = picture(1, 30, 20)
    stored = image.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(open_picture(as_bytes(stored, "PNG", exif=exif)), image)


def test_damaged_exif_is_ignored() -> None:
    image = picture(1, 30, 20)
    np.testing.assert_array_equal(open_picture(as_bytes(image, "PNG", exif=b"Exif\0\0II*\0\xff\xff")), image)


def test_transparency_lies_over_the_background() -> None:
    image = Image.new("RGBA", (3, 1), (*RED, 255))
    image.putpixel((1, 0), (*RED, 0))
    image.putpixel((2, 0), (*RED, 51))  # a fifth
    data = as_bytes(image)
    assert [open_picture(data).getpixel((x, 0)) for x in range(3)] == [RED, WHITE, (255, 204, 204)]
    assert open_picture(data, background=BLUE).getpixel((1, 0)) == BLUE


def test_grey_with_alpha_lies_over_the_background() -> None:
    image = Image.new("LA", (2, 1), (0, 255))
    image.putpixel((1, 0), (0, 0))
    rgb = open_picture(as_bytes(image))
    assert [rgb.getpixel((x, 0)) for x in range(2)] == [(0, 0, 0), WHITE]


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_background(format: str) -> None:
    image = half(RED, BLUE).quantize(2)
    transparent = image.getpixel((0, 0))
    rgb = open_picture(as_bytes(image, format, transparency=transparent))
    assert (rgb.getpixel((0, 0)), rgb.getpixel((3, 0))) == (WHITE, BLUE)


def test_a_transparent_colour_of_rgb_is_background() -> None:
    rgb = open_picture(as_bytes(half(RED, BLUE), transparency=RED))
    assert (rgb.getpixel((0, 0)), rgb.getpixel((3, 0))) == (WHITE, BLUE)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_greys_are_scaled_not_clipped(format: str) -> None:
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    rgb = open_picture(as_bytes(Image.fromarray(values), format))
    np.testing.assert_array_equal(np.asarray(rgb)[0, :, 0], [0, 1, 128, 255])


def test_float_greys_are_scaled_to_their_brightest() -> None:
    values = np.array([[0, 0.25, np.nan, 0.5]], dtype=np.float32)
    rgb = open_picture(as_bytes(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(np.asarray(rgb)[0, :, 0], [0, 128, 0, 255])


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert open_picture(as_bytes(picture().convert(mode), "TIFF")).mode == "RGB"


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation_is_used(format: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    data = as_bytes(frames[0], format, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2  # type: ignore[attr-defined]  # only of formats with frames
    assert close(open_picture(data), (8, 8), RED)


def test_one_pixel_is_a_picture() -> None:
    assert open_picture(as_bytes(Image.new("RGB", (1, 1), RED))).getpixel((0, 0)) == RED


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_a_truncated_picture_is_damaged(format: str) -> None:
    data = as_bytes(picture(), format)
    with pytest.raises(PictureError):
        open_picture(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"\0", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n"])
def test_files_that_are_not_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture that can be read; readable are JPEG, PNG"):
        open_picture(data)


def test_unlisted_formats_are_not_tried() -> None:
    with pytest.raises(PictureError, match="not a picture"):
        open_picture(as_bytes(picture(), "PPM"))


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        open_picture(tmp_path / "missing.png")


def test_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="directory"):
        open_picture(tmp_path)


# The last two are more than Pillow itself warns of and refuses.
@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (10_000, 10_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_by_the_header(width: int, height: int) -> None:
    with pytest.raises(PictureTooLarge, match="send a smaller picture"):
        open_picture(png_header(width, height))


def test_pixel_limit_is_a_parameter() -> None:
    data = as_bytes(picture(0, 20, 10))
    assert open_picture(data, max_pixels=200).size == (20, 10)
    with pytest.raises(PictureTooLarge, match="20 x 10 pixels, the limit is 199"):
        open_picture(data, max_pixels=199)


SAMPLES = [
    *(as_bytes(picture(0, 24, 16), format) for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")),
    as_bytes(picture(0, 24, 16).convert("RGBA"), "WEBP", lossless=True),
    as_bytes(picture(0, 24, 16).quantize(7), "PNG", transparency=3),
    as_bytes(picture(0, 24, 16), "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
]


@settings(max_examples=300)
@given(
    sample=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=8),
    kept=st.floats(0, 1),
    tail=st.binary(max_size=8),
)
# Pillow's warnings about odd files are for whoever runs the program.
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_bytes_are_a_picture_or_a_picture_error(
    sample: bytes, edits: list[tuple[float, bytes]], kept: float, tail: bytes
) -> None:
    data = bytearray(sample)
    for place, new in edits:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    try:
        image = open_picture(bytes(data[: int(kept * len(data)) if kept < 0.8 else None]) + tail, max_pixels=10**6)
    except PictureError:
        return
    assert image.mode == "RGB"
    assert min(image.size) >= 1


PHOTOS = {
    "large": as_bytes(picture(0, 1000, 700), "JPEG", quality=75),
    "progressive": as_bytes(picture(1, 701, 999), "JPEG", quality=90, progressive=True),
    "long": as_bytes(picture(2, 257, 2048), "JPEG", quality=60, subsampling=0),
    "barely larger": as_bytes(picture(3, 1500, 129), "JPEG", quality=95),
    "of low quality": as_bytes(picture(4, 640, 480), "JPEG", quality=30, optimize=True),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_jpeg_is_decoded_at_a_sufficient_fraction_of_its_size(name: str, encoders: Encoders) -> None:
    size = encoders.bundle.image.size
    full, reduced = open_picture(PHOTOS[name]), open_picture(PHOTOS[name], shorter_side=size)
    least = max(2 * size, LEAST_SIDE)
    assert min(least, *full.size) <= min(reduced.size) <= max(2 * least, min(full.size) / 8)
    vector, other = encoders.encode_images([full, reduced])
    assert vector @ other > 0.999


@pytest.fixture(scope="module")
def demo_encoders() -> Encoders:
    return Encoders(Bundle.open(ROOT / "models" / "emoji"), threads=1)


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_vectors_of_real_pictures_are_unchanged(path: Path, demo_encoders: Encoders) -> None:
    """Drawings are the worst case: they are all edges."""
    with Image.open(path) as drawing:
        large = drawing.convert("RGB").resize((900, 900), Image.Resampling.BICUBIC)
    data = as_bytes(large, "JPEG", quality=85)
    reduced = open_picture(data, shorter_side=demo_encoders.bundle.image.size)
    assert reduced.size == (450, 450)
    vector, other = demo_encoders.encode_images([open_picture(data), reduced])
    assert vector @ other > 0.999


def test_turning_a_reduced_picture_still_works() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = as_bytes(picture(0, 1000, 600), "JPEG", exif=exif)
    assert open_picture(data, shorter_side=64).size == (300, 500)
    assert open_picture(data, shorter_side=301).size == (600, 1000)


def test_other_formats_are_decoded_whole() -> None:
    assert open_picture(as_bytes(picture(0, 1000, 600), "WEBP"), shorter_side=64).size == (1000, 600)


def with_text(*, compressed: bool, size: int) -> bytes:
    info = PngInfo()
    info.add_itxt("workflow", "x" * size, zip=compressed)
    return as_bytes(picture(1), pnginfo=info)


@pytest.mark.parametrize(
    "content",
    [
        with_text(compressed=True, size=3_000_000),
        with_text(compressed=True, size=100_000_000),
        as_bytes(picture(1), icc_profile=np.random.default_rng(1).bytes(1_300_000)),
        as_bytes(picture(1), exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
    ],
)
def test_good_pixels_are_read_despite_damaged_metadata(content: bytes) -> None:
    assert np.array_equal(np.asarray(open_picture(content)), np.asarray(picture(1)))


def test_a_picture_without_its_texts_is_rotated_by_its_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    info = PngInfo()
    info.add_text("workflow", "x" * 3_000_000, zip=True)
    turned = as_bytes(half(RED, BLUE), pnginfo=info, exif=exif)
    assert open_picture(turned).size == (2, 4)


@pytest.mark.parametrize(("format", "marker"), [("JPEG", b"\xff\xe1"), ("JPEG", b"\xff\xe2"), ("JPEG", b"\xff\xed")])
@given(data=st.binary(max_size=64))
@settings(max_examples=20)
def test_segments_beside_the_pixels_cost_no_picture(format: str, marker: bytes, data: bytes) -> None:
    whole = as_bytes(picture(1), format)
    length = (len(data) + 16).to_bytes(2)
    for start in (b"Exif\0\0II*\0\x08\0\0\0", b"ICC_PROFILE\0\x01\x01", b"Photoshop 3.0\0"):
        content = whole[:2] + marker + length + start.ljust(14, b"\0")[:14] + data + whole[2:]
        assert open_picture(content).size == picture(1).size


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC pictures cannot be read: install pillow-heif"),
        (b"\xff\x0a" + bytes(100), "JPEG XL pictures cannot be read: install pillow-jxl-plugin"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + bytes(100), "MP4 videos are not read"),
        (b"no picture", "this is not a picture that can be read"),
    ],
)
def test_unreadable_formats_are_named(head: bytes, says: str) -> None:
    with pytest.raises(PictureError, match=says):
        open_picture(head)
