"""The bundle that the project ships, against PyTorch with the same weights: what `make demo` serves is CLIP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import clip.model
import pytest

from builder.export.pytorch.checkpoint import Checkpoint
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from tests.builder.export.pytorch.conftest import Transform
from tests.builder.export.pytorch.parity import check_images, check_pixels, check_texts, check_tokens
from tests.support.drawing import picture
from tests.support.texts import TEXTS

FOLDERS = [Path(__file__).parents[4] / "models" / "emoji"]


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle.open(request.param)


@pytest.fixture(scope="module")
def shipped(bundle: Bundle) -> Encoders:
    return Encoders(bundle, threads=1)


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> clip.model.CLIP:
    return Checkpoint.of_bundle(bundle).model()


@pytest.fixture(scope="module")
def transform(bundle: Bundle, clip_transform: Callable[[int], Transform]) -> Transform:
    return clip_transform(bundle.image.size)


def test_demo_bundle_files_are_unchanged(bundle: Bundle) -> None:
    bundle.verify()
    assert min(bundle.precisions["fp32"].fidelity.values()) >= 0.99999


@pytest.mark.parametrize("text", TEXTS)
def test_demo_bundle_has_clips_tokens(shipped: Encoders, text: str) -> None:
    check_tokens(shipped.tokenizer, text)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (72, 72), (128, 96), (333, 777)])
def test_demo_bundle_has_clips_pixels(shipped: Encoders, transform: Transform, width: int, height: int) -> None:
    check_pixels(shipped.preprocessing, transform, picture(0, width, height))


def test_demo_bundle_has_pytorchs_text_vectors(shipped: Encoders, model: clip.model.CLIP) -> None:
    check_texts(shipped, model)


def test_demo_bundle_has_pytorchs_image_vectors(
    shipped: Encoders, model: clip.model.CLIP, transform: Transform
) -> None:
    check_images(shipped, model, transform)
