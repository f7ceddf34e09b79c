"""Encoders against vectors that PyTorch computed with the same weights; tests/builder/export/ computes them anew."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL.Image import Image

from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import IMAGE_BATCH, TEXT_BATCH, Encoders, unit
from promptsearch.errors import BundleError
from promptsearch.system.cpus import available_cores
from tests.support.drawing import picture
from tests.support.texts import TEXTS
from tests.support.tiny import Reference, pictures


@pytest.mark.parametrize("size", [1, 64])
def test_vectors_equal_those_of_pytorch(encoders: Encoders, size: int) -> None:
    shown = pictures()
    texts = [encoders.encode_texts(TEXTS[start : start + size]) for start in range(0, len(TEXTS), size)]
    images = [encoders.encode_images(shown[start : start + size]) for start in range(0, len(shown), size)]
    for batches, expected in ((texts, Reference.read().texts), (images, Reference.read().pictures)):
        vectors = np.concatenate(batches)
        assert np.vecdot(vectors, expected).min() >= 0.99999
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_texts_vector_does_not_depend_on_its_batch(encoders: Encoders) -> None:
    texts = [f"{'very ' * (n % 40)}long text {n}" for n in range(TEXT_BATCH + 9)]
    together = encoders.encode_texts(texts)
    alone = np.concatenate([encoders.encode_texts([text]) for text in texts[::10]])
    np.testing.assert_allclose(together[::10], alone, atol=2e-6)
    np.testing.assert_allclose(encoders.encode_texts(texts[::-1])[::-1], together, atol=2e-6)


def test_a_pictures_vector_does_not_depend_on_its_batch(encoders: Encoders) -> None:
    images: list[Image] = [picture(seed) for seed in range(IMAGE_BATCH + 3)]
    together = encoders.encode_images(images)
    alone = np.concatenate([encoders.encode_images([image]) for image in images[::9]])
    np.testing.assert_allclose(together[::9], alone, atol=2e-6)


def test_empty_input_returns_an_empty_array(encoders: Encoders) -> None:
    assert encoders.encode_texts([]).shape == (0, 32)
    assert encoders.encode_images([]).shape == (0, 32)


def test_threads_may_share_encoders(encoders: Encoders) -> None:
    expected = {text: encoders.encode_texts([text]) for text in TEXTS}
    with ThreadPoolExecutor(8) as pool:
        encoded = list(pool.map(lambda text: encoders.encode_texts([text]), TEXTS * 20))
    np.testing.assert_allclose(np.stack(encoded), np.stack([expected[text] for text in TEXTS * 20]), atol=1e-6)


def test_vectors_are_scaled_to_unit_length() -> None:
    vectors = np.array([[3, 4], [0, 0], [1e-3, 0]], dtype=np.float32)
    np.testing.assert_allclose(unit(vectors), np.array([[0.6, 0.8], [0, 0], [1, 0]]), rtol=1e-6)
    assert unit(vectors[0]).dtype == np.float32


def test_number_of_cores_follows_the_affinity() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert available_cores() == len(before)


def test_a_missing_precision_is_an_error_with_the_command(vit_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="has no int8 encoders, only fp32; export them with --precision int8"):
        Encoders(vit_bundle, precision="int8")


def test_a_damaged_graph_is_refused(vit_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_bytes(vit_bundle.path("text.onnx").read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"text\.onnx cannot be loaded"):
        Encoders(replace(vit_bundle, folder=tmp_path))
