"""Small checkpoints in PyTorch, and the transform of pictures that belongs to them."""

from __future__ import annotations

from collections.abc import Callable

import clip.model
import pytest
from PIL import Image
from torch import Tensor
from torchvision import transforms

from bench.support.checkpoints import random_state, save
from builder.export.clip.checkpoint import MEAN, STD
from builder.export.export import export
from builder.export.pytorch.checkpoint import Checkpoint, StateDict
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from tests.builder.export.pytorch import checkpoints

Transform = Callable[[Image.Image], Tensor]


@pytest.fixture(scope="session")
def vit_state() -> StateDict:
    return checkpoints.tiny_state()


@pytest.fixture(scope="session")
def vit_checkpoint(vit_state: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = save(vit_state, tmp_path_factory.mktemp("checkpoints") / "tiny-vit.pt")
    return Checkpoint.file(path)


@pytest.fixture(scope="session")
def vit_model(vit_checkpoint: Checkpoint) -> clip.model.CLIP:
    """Return the reference in PyTorch of `vit_bundle`."""
    return vit_checkpoint.model()


@pytest.fixture(scope="session")
def vit_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Export the bundle that is committed under that name; return the new one."""
    return checkpoints.export_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def encoders(vit_bundle: Bundle) -> Encoders:
    return Encoders(vit_bundle, threads=1)


@pytest.fixture(scope="session")
def clip_transform() -> Callable[[int], Transform]:
    """Return a function from a side in pixels to the transform that `clip.load` returns beside a model (clip/clip.py).

    It is written again here, as `clip.load` runs the code that an archive holds.
    """

    def transform(size: int) -> Transform:
        composed: Transform = transforms.Compose(
            [
                transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(size),
                lambda image: image.convert("RGB"),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )
        return composed

    return transform


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    state = random_state(checkpoints.TINY_RESNET)
    return Checkpoint.file(save(state, tmp_path_factory.mktemp("checkpoints") / "tiny-resnet.pt"))


@pytest.fixture(scope="session")
def resnet_bundle(resnet: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(resnet, tmp_path_factory.mktemp("models") / "tiny-resnet")
