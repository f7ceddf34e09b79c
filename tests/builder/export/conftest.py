"""Small checkpoints in PyTorch, and the transform of pictures that belongs to them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import clip
import clip.model
import pytest
from PIL import Image
from torch import Tensor

from bench.support.checkpoints import save
from builder.export.checkpoint import Checkpoint, StateDict
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.system.files import sha256_of
from tests.builder.export import checkpoints

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
    """The reference in PyTorch of `vit_bundle`."""
    return vit_checkpoint.model()


@pytest.fixture(scope="session")
def vit_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of that name that is committed, but exported now."""
    return checkpoints.export_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def encoders(vit_bundle: Bundle) -> Encoders:
    return Encoders(vit_bundle, threads=1)


@pytest.fixture(scope="session")
def clip_transform(vit_state: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Transform]:
    """The transform that `clip.load` returns beside a model for pictures of so many pixels."""

    def load(size: int) -> Transform:
        folder = tmp_path_factory.mktemp("clip")
        archive = checkpoints.save_torchscript(vit_state, folder / "tiny.pt", size)
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # clip's own code is of 2021: integer interpolation, unclosed file
            checkpoints.offer(patch, "tiny", archive, sha256_of(archive), folder / "cache")
            _, transform = clip.load("tiny", device="cpu", jit=False)
        loaded: Transform = transform
        return loaded

    return load
