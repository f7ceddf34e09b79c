"""A file without its metadata has the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from promptsearch.metadata.embedded.containers import blocks_of, without_metadata
from tests.promptsearch.metadata import samples as made
from tests.support.drawing import as_bytes, picture

EXIF = Image.Exif()
EXIF[made.SOFTWARE] = "x"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_metadata_is_removed_and_pixels_are_kept(format: str) -> None:
    whole = as_bytes(picture(), format, exif=EXIF, icc_profile=bytes(range(256)), xmp=made.xmp({}))
    bare = without_metadata(whole, keep_exif=False)
    assert bare is not None
    assert len(bare) < len(whole) - 100
    before, after = (Image.open(io.BytesIO(content)) for content in (whole, bare))
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert not {"exif", "icc_profile", "xmp"} & after.info.keys()
    assert without_metadata(bare, keep_exif=False) is None


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_exif_can_be_kept(format: str) -> None:
    bare = without_metadata(as_bytes(picture(), format, exif=EXIF, icc_profile=b"profile"), keep_exif=True)
    assert bare is not None
    with Image.open(io.BytesIO(bare)) as image:
        assert image.getexif()[made.SOFTWARE] == "x"
        assert "icc_profile" not in image.info


def test_other_files_have_no_blocks() -> None:
    for content in (b"", b"GIF89a", as_bytes(picture(), "BMP")):
        assert without_metadata(content, keep_exif=False) is None
        assert blocks_of(io.BytesIO(content)) is None
    for content in (b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"):
        assert without_metadata(content, keep_exif=False) is None
