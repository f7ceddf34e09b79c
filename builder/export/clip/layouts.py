"""The names of CLIP's tensors: OpenAI's, which open_clip shares, and those of Hugging Face's transformers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

# Numbers that OpenAI's archives hold beside the weights (clip/model.py: build_model removes them).
DESCRIPTIVE = ("input_resolution", "context_length", "vocab_size")

_HF = re.compile(r"(text|vision)_model\.encoder\.layers\.\d+\.self_attn\.q_proj\.weight")
_HF_BUFFER = "position_ids"
_TOWERS = {"text_model.": "", "vision_model.": "visual."}
_LAYERS = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
_OTHERS = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # misspelt so in transformers
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
}
_TRANSPOSED = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}


def is_hugging_face(names: Iterable[str]) -> bool:
    """Return whether names are those of transformers' CLIPModel."""
    return any(_HF.fullmatch(name) for name in names)


def openai_names(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the tensors under OpenAI's names, without what is not a weight. Unknown names stay as they are."""
    named = {name.removeprefix("module."): value for name, value in arrays.items()}  # as distributed training has it
    named = {name: value for name, value in named.items() if name not in DESCRIPTIVE}
    return _from_hugging_face(named) if is_hugging_face(named) else named


def _from_hugging_face(arrays: Arrays) -> dict[str, NDArray[Any]]:
    renamed: dict[str, NDArray[Any]] = {}
    for name, value in arrays.items():
        if name in _OTHERS:
            renamed[_OTHERS[name]] = value
        elif name in _TRANSPOSED:
            renamed[_TRANSPOSED[name]] = value.T
        elif ".self_attn.q_proj." in name:
            beside = [name.replace(".q_proj.", f".{which}_proj.") for which in "qkv"]
            if all(other in arrays for other in beside):
                joined = np.concatenate([arrays[other] for other in beside])
                renamed[_layer(name).replace("self_attn.q_proj.", "attn.in_proj_")] = joined
        elif not (".self_attn.k_proj." in name or ".self_attn.v_proj." in name or name.endswith(_HF_BUFFER)):
            renamed[_layer(name)] = value
    return renamed


def _layer(name: str) -> str:
    """Return OpenAI's name of a tensor of a layer."""
    for theirs, ours in _TOWERS.items():
        if name.startswith(f"{theirs}encoder.layers."):
            name = f"{ours}transformer.resblocks.{name.removeprefix(f'{theirs}encoder.layers.')}"
    for theirs, ours in _LAYERS.items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    return name
