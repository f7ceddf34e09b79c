"""A small checkpoint without PyTorch, and the bundle of it: that of tests/data, exported now."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.clip.weights import checked
from builder.export.export import export
from promptsearch.encoding.bundle import Bundle, Source
from promptsearch.encoding.encoders import Encoders
from promptsearch.system.files import sha256_of
from tests.builder.export.files import tiny_weights, write_state_dict


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the weights of tests/support/tiny.py to a file like those of `torch.save`; return its path."""
    return write_state_dict(tiny_weights(), tmp_path_factory.mktemp("checkpoints") / "tiny-vit.pt")


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_file: Path) -> ClipCheckpoint:
    """Return the checkpoint in that file. Its reference is NumPy, whether PyTorch is installed or not."""
    source = Source(tiny_file.name, sha256_of(tiny_file))
    return ClipCheckpoint(source, checked(tiny_weights(), tiny_file.name))


@pytest.fixture(scope="session")
def gelu_checkpoint(tiny_checkpoint: ClipCheckpoint) -> ClipCheckpoint:
    """Return the same weights as a checkpoint of open_clip, with its activation."""
    source = replace(tiny_checkpoint.source, open_clip="tiny-ViT")
    return replace(tiny_checkpoint, source=source, quick_gelu=False)


@pytest.fixture(scope="session")
def exported(tiny_checkpoint: ClipCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the bundle of `tiny_checkpoint`."""
    return export(tiny_checkpoint, tmp_path_factory.mktemp("models") / "tiny", licence="CC0-1.0")


@pytest.fixture(scope="session")
def exported_encoders(exported: Bundle) -> Encoders:
    return Encoders(exported, threads=1)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make imports of PyTorch, and of the builder's modules that need it, fail even if it is installed."""
    for name in (
        "torch",
        "clip",
        "open_clip",
        *(f"builder.export.pytorch.{part}" for part in ("checkpoint", "open_clip")),
    ):
        monkeypatch.setitem(sys.modules, name, None)
