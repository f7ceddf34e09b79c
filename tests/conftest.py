"""Real small things that tests share, made once a session and only read from then on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import clip
import clip.model
import hypothesis
import pytest
from PIL import Image
from torch import Tensor

from builder.encode.embed import embed
from builder.encode.runners.local import LocalRunner
from builder.export.checkpoint import Checkpoint, StateDict
from builder.export.export import export
from builder.indexing.index import index
from builder.sources import open_source
from builder.versions.publish import publish
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.system.files import sha256_of
from tests.support import checkpoints, source

# A busy machine is slow at any example; what a test takes in all is for --timeout to limit.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], max_examples=100
)
hypothesis.settings.load_profile("tests")

if TYPE_CHECKING:
    from tests.support.object_store import ObjectStore

Transform = Callable[[Image.Image], Tensor]


@pytest.fixture(scope="session")
def vit_state() -> StateDict:
    return checkpoints.random_state(checkpoints.TINY_VIT)


@pytest.fixture(scope="session")
def vit_checkpoint(vit_state: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = checkpoints.save(vit_state, tmp_path_factory.mktemp("checkpoints") / "tiny-vit.pt")
    return Checkpoint.file(path)


@pytest.fixture(scope="session")
def vit_model(vit_checkpoint: Checkpoint) -> clip.model.CLIP:
    """The reference in PyTorch of `vit_bundle`."""
    return vit_checkpoint.model()


@pytest.fixture(scope="session")
def vit_bundle(vit_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of 32 dimensions and 64-pixel pictures, called `tiny`, in a models folder of its own."""
    return export(vit_checkpoint, tmp_path_factory.mktemp("models") / "tiny", licence="CC0-1.0")


@pytest.fixture(scope="session")
def encoders(vit_bundle: Bundle) -> Encoders:
    return Encoders(vit_bundle, threads=1)


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small `manifest` source with everything that can be wrong with one; see tests/support/source.py."""
    return source.write(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def indices(source_folder: Path, encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An indices folder whose one collection, `tiny`, is built from `source_folder` with `vit_bundle`."""
    indices = tmp_path_factory.mktemp("indices")
    collection = indices / "tiny"
    embed(
        open_source("manifest", source_folder, None),
        LocalRunner(encoders),
        encoders.bundle,
        collection,
        engine_name="onnx",
    )
    index(collection)
    publish(collection)
    return indices


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


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An object store of this test's own, which the environment leads to."""
    from tests.support.object_store import object_store  # the packages behind it take a second

    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store
