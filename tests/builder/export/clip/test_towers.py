"""CLIP in NumPy against what PyTorch computed with the same weights; tests/builder/export/pytorch/ computes it anew."""

from __future__ import annotations

import math

import numpy as np
import pytest

from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.clip.towers import gelu, quick_gelu_of, softmax
from builder.export.original import Towers
from promptsearch.encoding.encoders import Encoders, unit
from tests.support.texts import TEXTS
from tests.support.tiny import Reference, pictures


@pytest.fixture(scope="module")
def towers(tiny_checkpoint: ClipCheckpoint) -> Towers:
    return tiny_checkpoint.original().reference


def test_texts_are_pytorchs(towers: Towers) -> None:
    tokens = towers.tokenize(TEXTS)
    assert tokens.shape == (len(TEXTS), 77)
    for row, text in zip(tokens, TEXTS, strict=True):
        wanted = Reference.read().tokens[text]
        assert row.tolist() == wanted + [0] * (77 - len(wanted))
    found = towers.encode_text(tokens)
    assert found.dtype == np.float32
    np.testing.assert_allclose(unit(found), Reference.read().texts, atol=1e-6)


def test_pictures_are_pytorchs(towers: Towers, encoders: Encoders) -> None:
    found = towers.encode_image(np.stack([encoders.preprocessing(picture) for picture in pictures()]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(unit(found), Reference.read().pictures, atol=1e-6)


def test_the_two_activations_are_near_and_not_the_same() -> None:
    x = np.linspace(-8, 8, 1001, dtype=np.float32)
    exact = np.array([value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in x.tolist()])
    np.testing.assert_allclose(gelu(x), exact, atol=1e-6)
    np.testing.assert_allclose(quick_gelu_of(x), x / (1 + np.exp(-1.702 * x.astype(np.float64))), atol=1e-6)
    assert 0.01 < np.abs(gelu(x) - quick_gelu_of(x)).max() < 0.03


def test_softmax_handles_large_and_masked_scores() -> None:
    shares = softmax(np.array([[1e4, 1e4, -np.inf]], dtype=np.float32))
    np.testing.assert_array_equal(shares, [[0.5, 0.5, 0]])


def test_another_activation_gives_other_vectors(
    towers: Towers, gelu_checkpoint: ClipCheckpoint, encoders: Encoders
) -> None:
    other = gelu_checkpoint.original().reference
    pixels = np.stack([encoders.preprocessing(picture) for picture in pictures()])
    for ours, theirs in (
        (towers.encode_text(towers.tokenize(TEXTS)), other.encode_text(other.tokenize(TEXTS))),
        (towers.encode_image(pixels), other.encode_image(pixels)),
    ):
        assert np.abs(unit(ours) - unit(theirs)).max() > 1e-4
