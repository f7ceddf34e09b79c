"""Checkpoint files made without PyTorch, byte by byte, and the weights of tests/support/tiny.py to fill them with."""

from __future__ import annotations

import json
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
from numpy.typing import NDArray

from promptsearch.encoding.bundle import Bundle
from tests.support import tiny

Arrays = Mapping[str, NDArray[Any]]

STORAGES = {"<f4": "FloatStorage", "<f2": "HalfStorage", "<i8": "LongStorage", "<f8": "DoubleStorage"}
SAFETENSORS = {"<f4": "F32", "<f2": "F16", "<i8": "I64", "<f8": "F64"}


@cache
def tiny_weights() -> dict[str, NDArray[Any]]:
    """Return the weights of the committed bundle as stored: in fp16 where that is exact."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = tiny.write(Path(scratch) / "tiny")
        weights: dict[str, NDArray[Any]] = {"logit_scale": np.array(bundle.logit_scale, dtype=np.float32)}
        for file in ("text.onnx", "image.onnx"):
            for tensor in onnx.load(bundle.path(file)).graph.initializer:
                if tensor.name.startswith("clip."):
                    name = tensor.name.removeprefix("clip.").removesuffix(".fp16")
                    weights[name] = onnx.numpy_helper.to_array(tensor).copy()
    return weights


def write_safetensors(arrays: Arrays, path: Path, *, bfloat16: bool = False) -> Path:
    """Write a .safetensors file; with `bfloat16`, of what that keeps of float32."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    chunks, end = [], 0
    for name, array in arrays.items():
        data = (array.astype("<f4").view("<u4") >> 16).astype("<u2") if bfloat16 else array
        chunks.append(np.ascontiguousarray(data).tobytes())
        kind = "BF16" if bfloat16 else SAFETENSORS[array.dtype.newbyteorder("<").str]
        begin, end = end, end + len(chunks[-1])
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(chunks))
    return path


@dataclass(frozen=True)
class Tensor:
    """A tensor as a pickle describes it; each may lie."""

    key: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    count: int
    offset: int = 0
    storage: str = "FloatStorage"


def stored_bytes(bundle: Bundle, encoder: str) -> int:
    """Return the bytes of an encoder's file and of the files beside it."""
    return sum(path.stat().st_size for path in bundle.folder.glob(f"{encoder}*"))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(values: Iterable[int]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def pickled_tensor(tensor: Tensor) -> bytes:
    """Return a tensor as `torch.save` and TorchScript pickle it."""
    reference = b"(" + text("storage") + named("torch", tensor.storage) + text(tensor.key) + text("cpu")
    storage = reference + number(tensor.count) + b"tQ"
    place = number(tensor.offset) + numbers(tensor.shape) + numbers(tensor.strides)
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + place + b"\x89" + EMPTY + b"tR"


EMPTY = named("collections", "OrderedDict") + b")R"


def pickled(content: bytes) -> bytes:
    return b"\x80\x02" + content + b"."


def state_dict(tensors: Mapping[str, Tensor]) -> bytes:
    return EMPTY + b"(" + b"".join(text(name) + pickled_tensor(tensor) for name, tensor in tensors.items()) + b"u"


def module(attributes: Mapping[str, bytes]) -> bytes:
    """Return a pickled module of TorchScript: an instance of its own class, and its attributes."""
    pairs = b"".join(text(name) + value for name, value in attributes.items())
    return named("__torch__.model", "CLIP") + b")\x81}(" + pairs + b"ub"


def write_archive(
    path: Path, pickle: bytes, data: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED
) -> Path:
    """Write an archive in PyTorch's layout."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", b"little")
        for key, content in data.items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", b"3\n")
    return path


def described(arrays: Arrays) -> tuple[dict[str, Tensor], dict[str, bytes]]:
    """Return each array as the whole of its own storage, and the bytes of the storages."""
    tensors, data = {}, {}
    for number_, (name, array) in enumerate(arrays.items()):
        whole = np.array(array, order="C")
        strides = tuple(stride // whole.itemsize for stride in whole.strides)
        storage = STORAGES[whole.dtype.newbyteorder("<").str]
        tensors[name] = Tensor(str(number_), array.shape, strides, whole.size, 0, storage)
        data[str(number_)] = whole.tobytes()
    return tensors, data


def write_state_dict(arrays: Arrays, path: Path) -> Path:
    tensors, data = described(arrays)
    return write_archive(path, pickled(state_dict(tensors)), data)


def write_torchscript(arrays: Arrays, path: Path) -> Path:
    """Write an archive as OpenAI's: modules within modules, and three numbers beside the weights."""
    numbers_ = {"input_resolution": np.array(64), "context_length": np.array(77), "vocab_size": np.array(49408)}
    tensors, data = described({**arrays, **numbers_})
    tree: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *parents, leaf = name.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = pickled_tensor(tensor)

    def grown(branch: dict[str, Any]) -> bytes:
        parts = {name: grown(value) if isinstance(value, dict) else value for name, value in branch.items()}
        return module({"training": b"\x88", "_is_full_backward_hook": b"N", **parts})

    return write_archive(path, pickled(grown(tree)), data)


def transformers_names(weights: Arrays) -> dict[str, NDArray[Any]]:
    """Return the weights under the names, and in the shapes, of transformers' CLIPModel."""
    renamed: dict[str, NDArray[Any]] = {"text_model.embeddings.position_ids": np.arange(77)[None]}
    fixed = {
        "logit_scale": "logit_scale",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    }
    norms = {"ln_final": "text_model.final_layer_norm", "visual.ln_pre": "vision_model.pre_layrnorm"}
    norms["visual.ln_post"] = "vision_model.post_layernorm"
    layers = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    layers["attn.out_proj"] = "self_attn.out_proj"
    for name, value in weights.items():
        root, _, leaf = name.rpartition(".")
        if name in fixed:
            renamed[fixed[name]] = value
        elif name in ("text_projection", "visual.proj"):
            renamed["text_projection.weight" if name == "text_projection" else "visual_projection.weight"] = value.T
        elif root in norms:
            renamed[f"{norms[root]}.{leaf}"] = value
        else:
            tower = "vision_model" if name.startswith("visual.") else "text_model"
            layer, _, part = name.removeprefix("visual.").removeprefix("transformer.resblocks.").partition(".")
            prefix = f"{tower}.encoder.layers.{layer}."
            if part.startswith("attn.in_proj_"):
                for which, third in zip("qkv", np.split(value, 3), strict=True):
                    renamed[f"{prefix}self_attn.{which}_proj.{part.removeprefix('attn.in_proj_')}"] = third
            else:
                stem, _, kind = part.rpartition(".")
                renamed[f"{prefix}{layers[stem]}.{kind}"] = value
    return renamed
