"""Texts are found wherever a file can hold them."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from promptsearch.encoding.image_io import FORMATS
from promptsearch.metadata.embedded.fields import MAX_TEXT_BYTES, read_fields
from tests.promptsearch.metadata import samples as made
from tests.support.drawing import as_bytes, picture

GOOD = as_bytes(picture())


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunk(name: bytes, content: bytes, *, behind: bool = False) -> bytes:
    place = len(GOOD) - 12 if behind else 33
    return GOOD[:place] + chunk(name, content) + GOOD[place:]


def fields(content: bytes) -> dict[str, str]:
    return read_fields(io.BytesIO(content))


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"tEXt", b"parameters\0" + "夜 café".encode()),
        (b"zTXt", b"parameters\0\0" + zlib.compress("夜 café".encode())),
        (b"iTXt", b"parameters\0\0\0\0\0" + "夜 café".encode()),
        (b"iTXt", b"parameters\0\1\0en\0x\0" + zlib.compress("夜 café".encode())),
        (b"comf", b"parameters\0" + "夜 café".encode()),
    ],
)
def test_texts_of_png(name: bytes, content: bytes, behind: bool) -> None:
    assert fields(with_chunk(name, content, behind=behind)) == {"parameters": "夜 café"}


def test_text_chunks_are_decoded_as_latin_1() -> None:
    assert fields(with_chunk(b"tEXt", b"parameters\0" + "café".encode("latin-1"))) == {"parameters": "café"}


def test_tags_of_tiff() -> None:
    exif = Image.Exif()
    exif[made.MODEL] = 'prompt:{"1": {}}'
    assert fields(as_bytes(picture(), "TIFF", exif=exif))["prompt"] == '{"1": {}}'


# HEIF and JXL if their plugins are installed, as `make setup-all` does.
@pytest.mark.parametrize("format", [format for format in FORMATS if format not in ("GIF", "BMP", "TIFF")])
def test_exif_of_every_format(format: str) -> None:
    exif = Image.Exif()
    exif[made.SOFTWARE] = "Fooocus"
    exif[made.MODEL] = 'prompt:{"1": {}}'
    exif[made.MAKE] = 'Workflow: {"nodes": []}'
    exif.get_ifd(made.EXIF_IFD)[made.USER_COMMENT] = made.unicode_comment("a fox, 夜")
    found = fields(as_bytes(picture(), format, exif=exif.tobytes()))
    assert {name: found[name] for name in ("Software", "prompt", "workflow", "UserComment")} == {
        "Software": "Fooocus", "prompt": '{"1": {}}', "workflow": '{"nodes": []}', "UserComment": "a fox, 夜",
    }  # fmt: skip


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
def test_xmp_of_every_format(format: str) -> None:
    packet = made.xmp({"xmp:CreatorTool": "Draw Things", "exif:UserComment": '{"c": "a <b>"}'}, "a stone & 夜")
    if format == "PNG":
        content = with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
    else:
        content = as_bytes(picture(), format, xmp=packet)
    found = fields(content)
    assert found["xmp.CreatorTool"] == "Draw Things"
    assert found["xmp.UserComment"] == '{"c": "a <b>"}'
    assert found["xmp.description"] == "a stone & 夜"


def box(name: bytes, content: bytes, *, large: bool = False) -> bytes:
    if large:
        return struct.pack(">I4sQ", 1, name, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize("large", [False, True])
def test_boxes_of_jpeg_xl(large: bool) -> None:
    exif = Image.Exif()
    exif[made.MODEL] = 'prompt:{"1": {}}'
    start = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    metadata = box(b"Exif", bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0"), large=large)
    packet = made.xmp({"xmp:CreatorTool": "Draw Things"}, "a stone")
    pixels = b"\0\0\0\0jxlc\xff\x0a"  # up to the end of the file
    found = fields(start + metadata + box(b"xml ", packet, large=large) + pixels)
    assert (found["prompt"], found["xmp.CreatorTool"]) == ('{"1": {}}', "Draw Things")
    assert fields(start + metadata[:-1]).keys() <= {"prompt"}
    assert fields(start + struct.pack(">I4s", 3, b"Exif") + metadata) == {}, "a box that is shorter than its head"


def test_fields_of_an_animated_webp_are_read() -> None:
    exif = Image.Exif()
    exif[made.MODEL] = 'prompt:{"1": {}}'
    moving = as_bytes(picture(1), "WEBP", save_all=True, append_images=[picture(2)], exif=exif)
    assert fields(moving)["prompt"] == '{"1": {}}'


def test_comments_of_jpeg() -> None:
    assert fields(as_bytes(picture(), "JPEG", comment=b"a fox")) == {"comment": "a fox"}


def test_a_text_that_cannot_be_read_costs_no_other() -> None:
    info = PngInfo()
    info.add_text("parameters", "a fox")
    good = as_bytes(picture(), pnginfo=info)
    damaged = chunk(b"zTXt", b"workflow\0\0not compressed") + chunk(b"iTXt", b"x")
    damaged += chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")
    bomb = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(MAX_TEXT_BYTES + 1)))
    assert fields(good[:33] + damaged + bomb + good[33:])["parameters"] == "a fox"


def test_xmp_with_entities_is_not_read() -> None:
    packet = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    assert fields(with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)) == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"comf", b"IHDR", b"abcd"]),
            st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"II*\0\x08\0\0\0" + tail),
        ),
        max_size=4,
    ),
    st.integers(0, 200),
)
def test_any_chunks_are_read(chunks: list[tuple[bytes, bytes]], cut: int) -> None:
    content = GOOD[:33] + b"".join(chunk(*one) for one in chunks) + GOOD[33:]
    for part in (content, content[: len(content) - cut]):
        assert all(isinstance(value, str) for value in fields(part).values())


@given(st.binary(max_size=100), st.sampled_from([b"\xff\xd8\xff\xe1", b"RIFF\0\0\0\0WEBPEXIF"]))
def test_any_segments_are_read(tail: bytes, start: bytes) -> None:
    assert all(isinstance(value, str) for value in fields(start + tail).values())
