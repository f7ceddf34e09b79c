"""The reference is the transform that `clip.load` returns: torchvision on PyTorch tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import open_clip
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.export.openai_clip import MEAN, STD
from promptsearch.encoding.bundle import ImageSpec
from promptsearch.encoding.preprocessing import LONGEST_ASPECT, Preprocessing
from promptsearch.errors import BundleError
from tests.conftest import Transform
from tests.support.drawing import picture
from tests.support.parity import check_pixels

SIZES = ((1, 1), (2, 3), (63, 64), (64, 64), (65, 64), (224, 224), (225, 223), (640, 480), (333, 777), (1001, 64))


@pytest.fixture(scope="module", params=[64, 224])
def pair(request: pytest.FixtureRequest, clip_transform: Callable[[int], Transform]) -> tuple[Preprocessing, Transform]:
    return Preprocessing(ImageSpec(request.param, MEAN, STD)), clip_transform(request.param)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_pixels_are_clips(pair: tuple[Preprocessing, Transform], width: int, height: int) -> None:
    check_pixels(*pair, picture(width, width, height))
    check_pixels(*pair, picture(height, height, width))


@settings(max_examples=30)
@given(short=st.integers(1, 300), aspect=st.floats(1, LONGEST_ASPECT), lying=st.booleans(), seed=st.integers(0, 9))
def test_pictures_of_any_size_have_clips_pixels(
    pair: tuple[Preprocessing, Transform], short: int, aspect: float, lying: bool, seed: int
) -> None:
    sides = (int(short * aspect), short)
    check_pixels(*pair, picture(seed, *(sides if lying else sides[::-1])))


@pytest.mark.parametrize(("width", "height"), [(5000, 10), (10, 5000), (10_001, 7)])
def test_of_a_very_long_picture_the_middle_is_seen(
    pair: tuple[Preprocessing, Transform], width: int, height: int
) -> None:
    preprocessing, transform = pair
    image = picture(0, width, height)
    difference = np.abs(preprocessing(image) - transform(image).numpy())
    assert difference.mean() < 0.02  # of a range of about 4: the same place, within a fraction of a source pixel


def test_an_extreme_picture_takes_no_more_than_its_middle(pair: tuple[Preprocessing, Transform]) -> None:
    preprocessing, _ = pair
    size = preprocessing.spec.size
    assert preprocessing(picture(0, 60_000, 1)).shape == (3, size, size)  # scaled whole, it would take GBs


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_pixels_are_open_clips(resize: str, resample: str) -> None:
    framing = {"shortest": ("shorter-side", "centre"), "squash": ("squash", "none")}[resize]
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing(ImageSpec(224, half, half, framing[0], resample, framing[1]))
    transform = open_clip.image_transform(
        224, is_train=False, mean=half, std=half, resize_mode=resize, interpolation=resample
    )
    for width, height in SIZES:
        check_pixels(preprocessing, transform, picture(width, width, height))


def test_the_result_is_float32_channels_first(pair: tuple[Preprocessing, Transform]) -> None:
    preprocessing, _ = pair
    pixels = preprocessing(picture(0, 50, 70))
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    assert pixels.shape == (3, preprocessing.spec.size, preprocessing.spec.size)


@pytest.mark.parametrize("change", [{"resample": "lanczos"}, {"resize": "stretch"}, {"crop": "none"}])
def test_what_a_bundle_asks_for_and_is_not_known_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="is not known"):
        Preprocessing(replace(ImageSpec(64, MEAN, STD), **change))  # type: ignore[arg-type]  # one of three str fields
