"""CLIP's two towers as ONNX graphs whose weights keep their names and are stored in fp16 where that loses nothing."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import clip.model
import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import nn

OPSET = 18


class TextTower(nn.Module):
    """`CLIP.encode_text` (clip/model.py) for any number of tokens up to the context length.

    The tower is causal and its result is read at the end token, so what follows that token cannot reach the result:
    the tokens of a text alone give the same vector as 77 padded ones, for a fraction of the work.
    """

    mask: torch.Tensor

    def __init__(self, model: clip.model.CLIP) -> None:
        super().__init__()
        self.clip = model
        self.register_buffer("mask", model.build_attention_mask(), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """int64 [batch, length] -> float32 [batch, embedding_dim], not normalised."""
        model, length = self.clip, tokens.shape[1]
        x = model.token_embedding(tokens) + model.positional_embedding[:length]
        x = x.permute(1, 0, 2)  # as nn.MultiheadAttention has it: [length, batch, width]
        mask = self.mask[:length, :length]
        for block in model.transformer.resblocks:
            y = block.ln_1(x)
            x = x + block.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
            x = x + block.mlp(block.ln_2(x))
        x = model.ln_final(x.permute(1, 0, 2))
        ends = x[torch.arange(x.shape[0]), tokens.argmax(dim=-1)]
        vectors: torch.Tensor = ends @ model.text_projection
        return vectors


class ImageTower(nn.Module):
    """`CLIP.encode_image` (clip/model.py)."""

    def __init__(self, model: clip.model.CLIP) -> None:
        super().__init__()
        self.clip = nn.ModuleDict({"visual": model.visual})

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 [batch, 3, size, size] -> float32 [batch, embedding_dim], not normalised."""
        vectors: torch.Tensor = self.clip["visual"](pixels)
        return vectors


def write_text_graph(model: clip.model.CLIP, path: Path) -> None:
    example = torch.zeros((2, 9), dtype=torch.int64)
    example[:, -1] = model.vocab_size - 1
    batch = torch.export.Dim("batch", min=1, max=65536)
    length = torch.export.Dim("length", min=2, max=model.context_length)
    _write(TextTower(model), example, {0: batch, 1: length}, "tokens", path)


def write_image_graph(model: clip.model.CLIP, path: Path) -> None:
    size = model.visual.input_resolution
    batch = torch.export.Dim("batch", min=1, max=65536)
    _write(ImageTower(model), torch.zeros((2, 3, size, size)), {0: batch}, "pixels", path)


def _write(tower: nn.Module, example: torch.Tensor, dynamic: dict[int, object], name: str, path: Path) -> None:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its own internals
            # Not optimised: that would fold weights into nameless constants, and ONNX Runtime does all of it at load.
            program = torch.onnx.export(
                tower.eval(), (example,), dynamo=True, optimize=False, verbose=False, opset_version=OPSET,
                dynamic_shapes=(dynamic,), input_names=[name], output_names=["vectors"],
            )  # fmt: skip
    finally:
        logger.setLevel(level)
    assert program is not None
    graph = program.model_proto
    for node in graph.graph.node:  # where in the exporting machine's files each node came from
        del node.metadata_props[:]
        node.doc_string = ""
    store_in_half(graph)
    onnx.save(graph, path)


def store_in_half(model: onnx.ModelProto) -> None:
    """Store as fp16 every weight that fp16 holds exactly, and cast it back in the graph.

    OpenAI's checkpoints are fp16 to begin with, so this halves the files and changes no bit of any result: ONNX Runtime
    folds the casts when it loads the model.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        full = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        if np.array_equal(half.astype(np.float32), full):
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.fp16"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.fp16"], [name], to=onnx.TensorProto.FLOAT))
    for position, cast in enumerate(casts):
        model.graph.node.insert(position, cast)
