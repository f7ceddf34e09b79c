from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builder.export.clip.architectures import ARCHITECTURES, name_of, sizes_of
from builder.export.clip.layouts import is_hugging_face, openai_names
from builder.export.clip.weights import Sizes, checked, is_vision_transformer, rounded
from promptsearch.errors import ExportError
from tests.builder.export.files import tiny_weights, transformers_names


def refused(weights: dict[str, NDArray[Any]]) -> str:
    with pytest.raises(ExportError) as refusal:
        checked(weights, "other.pt")
    assert str(refusal.value).startswith("other.pt is not a checkpoint of OpenAI's CLIP architecture")
    return str(refusal.value)


def test_sizes_follow_from_shapes() -> None:
    sizes = Sizes.of(tiny_weights())
    assert sizes == Sizes(32, 64, 16, 2, 64, 77, 49408, 64, 2)
    assert sizes.architecture == "CLIP ViT/16 2 x 64, text transformer 2 x 64"
    assert sizes.shapes() == {name: value.shape for name, value in tiny_weights().items()}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_is_known_by_its_sizes(name: str) -> None:
    sizes = ARCHITECTURES[name]
    assert Sizes.of({key: np.empty(shape, "i1") for key, shape in sizes.shapes().items()}) == sizes
    for quick_gelu in (False, True):
        full = name_of(sizes, quick_gelu=quick_gelu)
        assert full is not None
        assert sizes_of(full) == sizes


def test_other_architectures_have_no_sizes() -> None:
    assert sizes_of("ViT-B-16-SigLIP") is None
    assert name_of(Sizes.of(tiny_weights()), quick_gelu=True) is None


def test_weights_become_fp32_in_rows() -> None:
    given = {**tiny_weights(), "logit_scale": np.array([4.0], dtype=np.float16)}
    given["visual.proj"] = np.asfortranarray(given["visual.proj"])
    weights = checked(given, "tiny.pt")
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}
    assert all(value.flags.c_contiguous for value in weights.values())
    assert weights["logit_scale"].shape == ()


def test_unexpected_tensors_are_named() -> None:
    weights = tiny_weights()
    without = {name: value for name, value in weights.items() if "ln_2" not in name}
    assert "Tensors: 8 missing (" in refused(without)
    assert "ln_2.bias, …)" in refused(without)
    assert "1 unknown to it (logit_bias)" in refused({**weights, "logit_bias": np.zeros(1)})
    wrong = {**weights, "visual.proj": np.zeros((3, 3), np.float32)}
    assert "1 of another shape (visual.proj [3, 3] instead of [64, 32])" in refused(wrong)
    whole = {**weights, "ln_final.bias": np.zeros(64, np.int64)}
    assert "1 not of floating-point numbers (ln_final.bias)" in refused(whole)
    for nothing in ({}, {"weight": np.zeros(2)}, {name: np.zeros(()) for name in weights}):
        refused(nothing)


def test_towers_of_other_heads_are_refused() -> None:
    sizes = Sizes(32, 64, 16, 1, 96, 77, 300, 64, 1)
    weights = {name: np.zeros(shape, np.float32) for name, shape in sizes.shapes().items()}
    with pytest.raises(ExportError, match="towers whose width is not a multiple of 64, the width of a head"):
        checked(weights, "odd.pt")


def test_products_are_rounded_and_nothing_else() -> None:
    third = {name: np.full_like(value, 1 / 3) for name, value in checked(tiny_weights(), "tiny.pt").items()}
    halves = {name for name, value in rounded(third).items() if np.any(value != third[name])}
    blocks = ("attn.in_proj_weight", "attn.in_proj_bias", "mlp.c_fc.weight", "mlp.c_proj.bias")
    assert {"visual.conv1.weight", "visual.proj", "text_projection"} < halves
    assert {f"{root}transformer.resblocks.1.{block}" for root in ("", "visual.") for block in blocks} < halves
    assert not any("ln_" in name or "embedding" in name or "logit" in name for name in halves)


def test_transformers_names_are_openais() -> None:
    theirs = transformers_names(tiny_weights())
    assert is_hugging_face(theirs)
    assert not is_vision_transformer(theirs)
    renamed = openai_names(theirs)
    assert is_vision_transformer(renamed)
    assert renamed.keys() == tiny_weights().keys()
    for name, value in tiny_weights().items():
        np.testing.assert_array_equal(renamed[name], value, err_msg=name)


def test_a_layer_without_all_of_its_attention_is_missed() -> None:
    theirs = transformers_names(tiny_weights())
    del theirs["text_model.encoder.layers.0.self_attn.k_proj.weight"]
    assert "1 missing (transformer.resblocks.0.attn.in_proj_weight)" in refused(openai_names(theirs))


def test_prefixes_and_numbers_of_training_are_removed() -> None:
    names = {f"module.{name}": value for name, value in tiny_weights().items()}
    numbers = {"input_resolution": np.array(64), "context_length": np.array(77), "vocab_size": np.array(49408)}
    assert openai_names({**names, **numbers}).keys() == tiny_weights().keys()
