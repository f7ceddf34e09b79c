"""Random CLIP checkpoints of any size, in the files that OpenAI publishes: state dicts and TorchScript archives."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import clip.clip
import clip.model
import pytest
import torch

from builder.export.checkpoint import Checkpoint, StateDict
from builder.export.export import export
from promptsearch.encoding.bundle import Bundle
from tests.support import tiny

# Arguments of clip.model.CLIP. What `build_model` infers from weights (heads = width / 64) must come out the same.
TINY_VIT = (32, 64, 2, 64, 16, 77, 49408, 64, 1, 2)
TINY_RESNET = (32, 64, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1)
RN50 = (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12)
VIT_B_32 = (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12)
VIT_L_14 = (768, 224, 24, 1024, 14, 77, 49408, 768, 12, 12)


def random_state(sizes: tuple[Any, ...]) -> StateDict:
    """Seeded weights that differ wherever a trained model's would: an untouched norm or a zero bias hides mistakes."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = clip.model.CLIP(*sizes).eval()
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name in ("positional_embedding", "text_projection"):  # clip 1.1 leaves these two as memory was
                value.normal_(std=value.shape[0] ** -0.5)
            elif value.ndim == 4:  # torch's own start makes a picture fainter with each convolution
                value.mul_(6**0.5)
            elif value.ndim == 1 and value.is_floating_point():
                is_scale = name.endswith("weight")
                value.copy_(0.1 * torch.randn_like(value) + (1.0 if is_scale else 0.0))
        return {name: value.clone() for name, value in model.state_dict().items()}


def tiny_state() -> StateDict:
    """Return the weights of TINY_VIT with the token embedding of tests/support/tiny.py."""
    embedding = torch.from_numpy(tiny.token_embedding()).float()
    return {**random_state(TINY_VIT), "token_embedding.weight": embedding}


def export_tiny(folder: Path) -> Bundle:
    """Write the bundle of `tiny_state` to `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint.file(save(tiny_state(), Path(scratch) / "tiny-vit.pt"))
    return export(checkpoint, folder, licence="CC0-1.0")


def save(state: StateDict, path: Path) -> Path:
    torch.save(state, path)
    return path


def save_torchscript(state: StateDict, path: Path, resolution: int) -> Path:
    """An archive like OpenAI's: the traced model with three numbers about it as buffers."""
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


def offer(patch: pytest.MonkeyPatch, name: str, archive: Path, sha256: str, cache: Path) -> None:
    """Let `clip` offer the archive as a model by that name, downloaded from a file:// address."""
    address = archive.parent / sha256 / archive.name  # clip takes the hash out of the address
    address.parent.mkdir(exist_ok=True)
    archive.rename(address)
    patch.setitem(clip.clip._MODELS, name, address.as_uri())
    patch.setattr(clip.clip._download, "__defaults__", (str(cache),))


def stored_bytes(bundle: Bundle, encoder: str) -> int:
    """Of an encoder's file and what lies beside it."""
    return sum(path.stat().st_size for path in bundle.folder.glob(f"{encoder}*"))
