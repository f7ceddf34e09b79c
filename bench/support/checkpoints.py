"""Random CLIP checkpoints of any size, as state dicts in the layout that OpenAI publishes. Needs PyTorch and clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clip.model
import torch

from builder.export.pytorch.checkpoint import StateDict

# Arguments of clip.model.CLIP. What `build_model` infers from weights (heads = width / 64) must come out the same.
RN50 = (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12)
VIT_B_32 = (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12)
VIT_L_14 = (768, 224, 24, 1024, 14, 77, 49408, 768, 12, 12)


def random_state(sizes: tuple[Any, ...]) -> StateDict:
    """Return seeded weights for `clip.model.CLIP(*sizes)`.

    Weights of norms and biases vary as in a trained model: ones and zeros would hide mistakes.
    """
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


def save(state: StateDict, path: Path) -> Path:
    """Write a state dict to `path`; return `path`."""
    torch.save(state, path)
    return path
