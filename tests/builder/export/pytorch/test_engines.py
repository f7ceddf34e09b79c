from __future__ import annotations

import numpy as np
import pytest
import torch

from builder.encode.engines import TorchEngine, open_engine
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import TEXT_BATCH, Encoders
from promptsearch.errors import BuildError
from tests.builder.export.pytorch.parity import ENGINES_COSINE
from tests.support.drawing import picture
from tests.support.texts import TEXTS


@pytest.fixture(scope="module")
def engine(vit_bundle: Bundle) -> TorchEngine:
    return TorchEngine(vit_bundle)


def test_both_engines_give_the_same_vectors_of_texts(engine: TorchEngine, encoders: Encoders) -> None:
    texts = [*TEXTS, *(f"text number {number}" for number in range(TEXT_BATCH))]
    found = engine.encode_texts(texts)
    assert found.dtype == np.float32
    assert np.vecdot(found, encoders.encode_texts(texts)).min() >= ENGINES_COSINE
    assert engine.encode_texts([]).shape == (0, 32)


def test_both_engines_give_the_same_vectors_of_pictures(engine: TorchEngine, encoders: Encoders) -> None:
    crops = np.stack([np.asarray(engine.preprocessing.crop(picture(seed, 90, 64))) for seed in range(5)])
    np.testing.assert_array_equal(engine.preprocessing(picture(0, 90, 64)), encoders.preprocessing(picture(0, 90, 64)))
    found = engine.encode_crops(crops)
    assert found.dtype == np.float32
    assert np.vecdot(found, encoders.encode_crops(crops)).min() >= ENGINES_COSINE


def test_engines_have_names(vit_bundle: Bundle) -> None:
    assert isinstance(open_engine("onnx", vit_bundle), Encoders)
    assert isinstance(open_engine("torch", vit_bundle, threads=torch.get_num_threads()), TorchEngine)
    with pytest.raises(BuildError, match="expected an engine of onnx, torch, got 'jax'"):
        open_engine("jax", vit_bundle)
