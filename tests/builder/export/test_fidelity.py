from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from builder.export import fidelity
from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.fidelity import Reference
from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.errors import ExportError
from tests.support.workspace import ROOT

NAMES = {f"{kind}_{what}" for kind in ("text", "image") for what in ("cosine_min", "cosine_mean", "top10_overlap")}


@pytest.fixture(scope="module")
def reference(exported_encoders: Encoders, tiny_checkpoint: ClipCheckpoint) -> Reference:
    return Reference.of(tiny_checkpoint.original(), exported_encoders.preprocessing)


def test_equal_encoders_are_faithful(exported_encoders: Encoders, reference: Reference) -> None:
    measured = fidelity.measure(exported_encoders, reference)
    assert set(measured) == NAMES
    assert min(measured.values()) >= fidelity.FP32_COSINE
    fidelity.require_every(measured, fidelity.FP32_COSINE)
    fidelity.require_mean(measured, fidelity.FP32_COSINE)


@pytest.mark.parametrize("weight", ["text_projection", "visual.proj"])
def test_a_slightly_different_model_is_noticed(
    exported_encoders: Encoders, reference: Reference, tiny_checkpoint: ClipCheckpoint, weight: str
) -> None:
    value = tiny_checkpoint.weights[weight]
    noise = (0.02 * value.std() * np.random.default_rng(0).normal(size=value.shape)).astype(np.float32)
    other = replace(tiny_checkpoint, weights={**tiny_checkpoint.weights, weight: value + noise})
    kind = "text" if weight.startswith("text") else "image"
    measured = fidelity.measure(exported_encoders, Reference.of(other.original(), exported_encoders.preprocessing))
    with pytest.raises(
        ExportError, match=rf"not faithful: expected {kind}_cosine_min of at least 0\.99999, got 0\.999"
    ):
        fidelity.require_every(measured, fidelity.FP32_COSINE)
    assert 0.5 < measured[f"{kind}_top10_overlap"] < 1


def test_neighbours_are_compared_with_the_originals_own_collection(
    exported_encoders: Encoders, reference: Reference
) -> None:
    """Encoders of another model find what they find by chance: a tenth of the collection."""
    generator = np.random.default_rng(0)
    texts, images = (
        unit(generator.normal(size=vectors.shape).astype(np.float32))
        for vectors in (reference.text_vectors, reference.image_vectors)
    )
    other = replace(reference, text_vectors=texts, image_vectors=images)
    measured = fidelity.measure(exported_encoders, other)
    assert measured["text_top10_overlap"] < 0.2
    assert measured["image_top10_overlap"] < 0.2
    assert abs(measured["image_cosine_mean"]) < 0.1


def test_nan_fails_the_fidelity_check() -> None:
    with pytest.raises(ExportError, match=r"text_cosine_min of at least 0\.5, got nan"):
        fidelity.require_every({"text_cosine_min": float("nan"), "text_cosine_mean": 1.0}, 0.5)
    with pytest.raises(ExportError, match=r"image_cosine_mean of at least 0\.5, got nan"):
        fidelity.require_mean({"text_cosine_min": 0.1, "image_cosine_mean": float("nan")}, 0.5)


def test_the_collection_is_of_different_prompts_with_their_pictures() -> None:
    prompts, shown = fidelity.collection()
    assert len(set(prompts)) == len(shown) == fidelity.COLLECTION
    assert len({picture.tobytes() for picture in shown}) == fidelity.COLLECTION


def test_the_collection_is_a_sample_of_the_demo() -> None:
    demo, sample = ROOT / "builder" / "demo" / "emoji", ROOT / "builder" / "export" / "reference"
    with (demo / "manifest.csv").open(newline="", encoding="utf-8") as file:
        images = {row["prompt"]: demo / row["image"] for row in csv.DictReader(file)}
    with (sample / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert (sample / row["image"]).read_bytes() == images[row["prompt"]].read_bytes()


def test_the_pictures_are_the_same_each_time_and_differ() -> None:
    made, again = fidelity.pictures(), fidelity.pictures()
    assert len(made) == 8
    assert len({picture.size for picture in made}) > 2
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert len({picture.tobytes() for picture in made}) == 8
