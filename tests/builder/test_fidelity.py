from __future__ import annotations

import clip.model
import numpy as np
import pytest
import torch

from builder import fidelity
from builder.checkpoint import Checkpoint, StateDict
from promptsearch.encoders import Encoders
from promptsearch.errors import ExportError


def test_equal_encoders_are_faithful(encoders: Encoders, vit_model: clip.model.CLIP) -> None:
    measured = fidelity.measure(encoders, vit_model)
    assert set(measured) == {"text_cosine_min", "text_cosine_mean", "image_cosine_min", "image_cosine_mean"}
    assert min(measured.values()) >= fidelity.FP32_COSINE
    fidelity.require(measured, fidelity.FP32_COSINE)


@pytest.mark.parametrize("weight", ["text_projection", "visual.proj"])
def test_a_slightly_different_model_is_noticed(encoders: Encoders, vit_state: StateDict, weight: str) -> None:
    value = vit_state[weight]
    noise = 0.02 * value.std() * torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    other = Checkpoint("other", "0" * 64, {**vit_state, weight: value + noise}).model()
    kind = "text" if weight.startswith("text") else "image"
    with pytest.raises(ExportError, match=rf"not faithful: {kind}_cosine_min is 0\.999"):
        fidelity.require(fidelity.measure(encoders, other), fidelity.FP32_COSINE)


def test_no_number_is_not_faithful() -> None:
    with pytest.raises(ExportError, match="text_cosine_min is nan"):
        fidelity.require({"text_cosine_min": float("nan"), "text_cosine_mean": 1.0}, 0.5)


def test_the_pictures_are_the_same_each_time_and_differ() -> None:
    made, again = fidelity.pictures(), fidelity.pictures()
    assert len(made) == 8
    assert len({picture.size for picture in made}) > 2
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert len({picture.tobytes() for picture in made}) == 8
