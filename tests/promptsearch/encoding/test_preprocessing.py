"""Preprocessing against CLIP's recipe in Pillow; tests/builder/export/pytorch/test_parity.py has clip's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoding.bundle import ImageSpec
from promptsearch.encoding.preprocessing import LONGEST_ASPECT, Preprocessing
from promptsearch.errors import BundleError
from tests.support.drawing import picture

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # clip/clip.py `_transform`
SIZES = ((1, 1), (2, 3), (63, 64), (64, 64), (65, 64), (224, 224), (225, 223), (640, 480), (333, 777), (1001, 64))


@pytest.fixture(scope="module", params=[64, 224])
def preprocessing(request: pytest.FixtureRequest) -> Preprocessing:
    return Preprocessing(ImageSpec(request.param, MEAN, STD))


def recipe(image: Image.Image, size: int) -> NDArray[np.float32]:
    """Resize the shorter side to `size`, cut out the middle, scale to 0..1, normalise; float32 [3, size, size]."""
    short = min(image.size)
    width, height = (size * side // short for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    cropped = resized.crop((left, top, left + size, top + size))
    pixels = (np.asarray(cropped, dtype=np.float64) / 255 - MEAN) / STD
    return pixels.transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_pixels_are_clips(preprocessing: Preprocessing, width: int, height: int) -> None:
    for image in (picture(width, width, height), picture(height, height, width)):
        expected = recipe(image, preprocessing.spec.size)
        np.testing.assert_allclose(preprocessing(image), expected, rtol=0, atol=2e-6)


@settings(max_examples=30)
@given(short=st.integers(1, 300), aspect=st.floats(1, LONGEST_ASPECT), lying=st.booleans(), seed=st.integers(0, 9))
def test_pictures_of_any_size_have_clips_pixels(
    preprocessing: Preprocessing, short: int, aspect: float, lying: bool, seed: int
) -> None:
    sides = (int(short * aspect), short)
    image = picture(seed, *(sides if lying else sides[::-1]))
    np.testing.assert_allclose(preprocessing(image), recipe(image, preprocessing.spec.size), rtol=0, atol=2e-6)


def test_only_the_middle_of_a_very_long_picture_is_resized(preprocessing: Preprocessing) -> None:
    size = preprocessing.spec.size
    assert preprocessing(picture(0, 60_000, 1)).shape == (3, size, size)  # scaled whole, it would take GBs


def test_the_result_is_float32_channels_first(preprocessing: Preprocessing) -> None:
    pixels = preprocessing(picture(0, 50, 70))
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    assert pixels.shape == (3, preprocessing.spec.size, preprocessing.spec.size)


@pytest.mark.parametrize("change", [{"resample": "lanczos"}, {"resize": "stretch"}, {"crop": "none"}])
def test_unknown_settings_of_a_bundle_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="unknown image preprocessing"):
        Preprocessing(replace(ImageSpec(64, MEAN, STD), **change))  # type: ignore[arg-type]  # one of three str fields
