"""Tiny random CLIP checkpoints in the files that OpenAI publishes: state dicts and TorchScript archives."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch

from bench.support.checkpoints import random_state, save
from builder.export.export import export
from builder.export.pytorch.checkpoint import Checkpoint, StateDict
from promptsearch.encoding.bundle import Bundle
from tests.support import tiny

# Arguments of clip.model.CLIP. What `build_model` infers from weights (heads = width / 64) must come out the same.
TINY_VIT = (32, 64, 2, 64, 16, 77, 49408, 64, 1, 2)
TINY_RESNET = (32, 64, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1)


def tiny_state() -> StateDict:
    """Return the weights of TINY_VIT with the token embedding of tests/support/tiny.py."""
    embedding = torch.from_numpy(tiny.token_embedding()).float()
    return {**random_state(TINY_VIT), "token_embedding.weight": embedding}


def export_tiny(folder: Path) -> Bundle:
    """Write the bundle of `tiny_state` to `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint.file(save(tiny_state(), Path(scratch) / "tiny-vit.pt"))
    return export(checkpoint, folder, licence="CC0-1.0")


def save_torchscript(state: StateDict, path: Path, resolution: int) -> Path:
    """Write an archive like OpenAI's: the traced model with three numbers about it as buffers."""
    model = Checkpoint("reference", "", state).model()
    for name, number in (("input_resolution", resolution), ("context_length", 77), ("vocab_size", 49408)):
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(number))
    size = model.visual.input_resolution
    example = (torch.zeros(1, 3, size, size), torch.zeros(1, 77, dtype=torch.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and what OpenAI published
        torch.jit.save(torch.jit.trace(model, example, check_trace=False), str(path))  # type: ignore[no-untyped-call]
    return path
