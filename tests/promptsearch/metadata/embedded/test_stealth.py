"""Text that is hidden in pixels is found, at the cost of a few rows for those that have none."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from promptsearch.metadata import read_generation
from promptsearch.metadata.embedded.stealth import read_stealth
from tests.promptsearch.metadata import samples as made
from tests.support.drawing import as_bytes, picture


def hide(text: str, place: str, *, compressed: bool, size: tuple[int, int] = (300, 200)) -> bytes:
    """Return a PNG that hides a text as the extensions of web interfaces do: in the lowest bits, down the columns."""
    pixels = np.array(picture(1, *size).convert("RGBA"))
    content = gzip.compress(text.encode()) if compressed else text.encode()
    signature = f"stealth_{'png' if place == 'alpha' else 'rgb'}{'comp' if compressed else 'info'}".encode()
    bits = np.unpackbits(np.frombuffer(signature + (8 * len(content)).to_bytes(4) + content, dtype=np.uint8))
    channels = pixels[..., 3:] if place == "alpha" else pixels[..., :3]
    values = channels.transpose(1, 0, 2).reshape(-1).copy()
    values[: len(bits)] = values[: len(bits)] & 0xFE | bits
    width, height = size
    channels[:] = values.reshape(width, height, channels.shape[-1]).transpose(1, 0, 2)
    return as_bytes(Image.fromarray(pixels if place == "alpha" else pixels[..., :3]))


@pytest.mark.parametrize("place", ["alpha", "rgb"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("size", [(300, 200), (400, 50), (200, 119)])
def test_hidden_text_is_found(place: str, compressed: bool, size: tuple[int, int]) -> None:
    content = hide(made.A1111, place, compressed=compressed, size=size)
    assert read_stealth(io.BytesIO(content)) == made.A1111
    result = read_generation(content)
    assert result is not None
    assert result.settings["seed"] == 1234567890


def test_unrelated_text_chunks_do_not_suppress_stealth_text() -> None:
    info = PngInfo()
    info.add_text("Software", "an editor")
    with Image.open(io.BytesIO(hide(made.A1111, "alpha", compressed=True))) as image:
        result = read_generation(as_bytes(image, pnginfo=info))
    assert result is not None
    assert result.settings["seed"] == 1234567890


def test_other_pictures_have_none() -> None:
    for image in (
        picture(),
        picture().convert("RGBA"),
        picture().convert("L"),
        picture().convert("P"),
        picture(0, 1, 1),
    ):
        assert read_stealth(io.BytesIO(as_bytes(image))) is None
    assert read_stealth(io.BytesIO(as_bytes(picture(), "JPEG"))) is None


def test_an_impossible_length_returns_none() -> None:
    content = hide("x" * 10, "alpha", compressed=False)
    pixels = np.array(Image.open(io.BytesIO(content)))
    pixels[120:152, 0, 3] |= 1  # the length: 2**32 - 1 bits
    assert read_stealth(io.BytesIO(as_bytes(Image.fromarray(pixels)))) is None
    assert read_generation(as_bytes(Image.fromarray(pixels))) is None
