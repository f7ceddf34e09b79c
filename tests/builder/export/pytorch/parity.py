"""Checks that a bundle's tokens, pixels and vectors are those of CLIP in PyTorch, for any bundle and its reference."""

from __future__ import annotations

from collections.abc import Callable

import clip
import clip.model
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from builder.export.fidelity import FP32_COSINE
from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.encoding.preprocessing import Preprocessing
from promptsearch.encoding.tokenizer import Tokenizer
from tests.support.texts import TEXTS
from tests.support.tiny import pictures

# Cosine of the torch engine's vectors with ONNX Runtime's: on a GPU it computes in half precision.
ENGINES_COSINE = 0.999 if torch.cuda.is_available() else 0.99999


def check_tokens(tokenizer: Tokenizer, text: str) -> None:
    """Assert that the ids of a text that fits are equal to those of `clip.tokenize`."""
    reference = clip.tokenize(text)[0].numpy()
    ids = tokenizer.ids(text)
    np.testing.assert_array_equal(ids, reference[: len(ids)], err_msg=repr(text))
    assert not reference[len(ids) :].any(), f"{text!r} has more tokens"


def check_pixels(preprocessing: Preprocessing, transform: Callable[[Image.Image], Tensor], image: Image.Image) -> None:
    """Assert that pixels are equal to those of the reference's transform, except for the last bits of a float."""
    np.testing.assert_allclose(preprocessing(image), transform(image).numpy(), rtol=0, atol=2e-6)


def check_texts(encoders: Encoders, model: clip.model.CLIP) -> None:
    with torch.inference_mode():
        reference = model.encode_text(clip.tokenize(list(TEXTS)))
    _check_vectors(encoders.encode_texts(TEXTS), reference)
    _check_vectors(np.concatenate([encoders.encode_texts([text]) for text in TEXTS]), reference)


def check_images(encoders: Encoders, model: clip.model.CLIP, transform: Callable[[Image.Image], Tensor]) -> None:
    images = pictures()
    with torch.inference_mode():
        reference = model.encode_image(torch.stack([transform(image) for image in images]))
    _check_vectors(encoders.encode_images(images), reference)
    _check_vectors(np.concatenate([encoders.encode_images([image]) for image in images]), reference)


def _check_vectors(ours: NDArray[np.float32], reference: Tensor) -> None:
    expected = unit(reference.numpy())
    between = expected @ expected.T
    # A model whose vectors are all alike would agree with anything.
    assert between[~np.eye(len(between), dtype=bool)].min() < 0.999
    assert np.vecdot(ours, expected).min() >= FP32_COSINE
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
