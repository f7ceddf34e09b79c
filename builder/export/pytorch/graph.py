"""Write the towers of a PyTorch model as ONNX graphs whose weights keep their names."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from promptsearch.encoding.bundle import ImageSpec, TextSpec

from ..onnx_files import OPSET, require_fitting, save, store_in_half


def write_text_graph(tower: nn.Module, spec: TextSpec, path: Path) -> None:
    """Write a tower, int64 [batch, length] -> float32 [batch, embedding_dim], to `path`, its embedding beside it."""
    example = torch.zeros((2, 9 if spec.padding == "longest" else spec.context_length), dtype=torch.int64)
    example[:, -1] = spec.end_id
    dynamic: dict[int, object] = {0: torch.export.Dim("batch", min=1, max=65536)}
    if spec.padding == "longest":
        dynamic[1] = torch.export.Dim("length", min=2, max=spec.context_length)
    _write(tower, example, dynamic, "tokens", path)


def write_image_graph(tower: nn.Module, spec: ImageSpec, path: Path) -> None:
    """Write a tower, float32 [batch, 3, size, size] -> float32 [batch, embedding_dim], to `path`."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    _write(tower, torch.zeros((2, 3, spec.size, spec.size)), {0: batch}, "pixels", path)


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
    for node in graph.graph.node:  # the source lines of each node, which name files of the exporting machine
        del node.metadata_props[:]
        node.doc_string = ""
    store_in_half(graph)
    require_fitting(graph, path.name)
    save(graph, path)
