"""How the graphs of a bundle are stored: weights that fp16 holds exactly in fp16, the token embedding beside its graph.

The token embedding, a sixth of all weights, lies in a file of its own. ONNX Runtime maps such a file: it is read as far
as texts need it, given up when memory is short, and all processes share one copy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from onnx.external_data_helper import set_external_data

from promptsearch.encoding.bundle import DATA
from promptsearch.errors import ExportError

OPSET = 23  # the first with an operator for attention
LARGEST = 2**31 - 1  # bytes that a protobuf message, and so a file, may have
EMBEDDINGS = ("token_embedding.weight", "word_embeddings.weight")  # as clip, open_clip and transformers name them


def require_fitting(model: onnx.ModelProto, name: str) -> None:
    """Raise ExportError if a graph with its weights is larger than an ONNX file may be."""
    if model.ByteSize() > LARGEST:
        raise ExportError(
            f"the weights that {name} holds take {model.ByteSize() / 1e9:.1f} GB, and an ONNX file at most 2: "
            "a checkpoint whose weights are in half precision takes half of it"
        )


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the graph to `path`, and its token embedding, if any, beside it; both replace existing files."""
    beside = path.with_name(f"{path.name}{DATA}")
    beside.unlink(missing_ok=True)  # onnx would write behind what it holds
    for tensor in model.graph.initializer:
        if is_embedding(tensor.name):
            set_external_data(tensor, beside.name)
    onnx.save(model, path)
    if beside.exists():
        beside.chmod(path.stat().st_mode)  # onnx lets nobody else read it


def is_embedding(name: str) -> bool:
    """Return whether a weight of that name, or its conversion, has a row for each token of the vocabulary."""
    return name.removesuffix(".fp16").removesuffix(".int8").endswith(EMBEDDINGS)


def store_in_half(model: onnx.ModelProto) -> None:
    """Store as fp16 every weight that fp16 holds exactly, and cast it back in the graph.

    OpenAI's checkpoints are fp16 to begin with, so this halves the files and changes no bit of any result: ONNX Runtime
    folds the casts when it loads the model. Of a token embedding only the rows that a text has are cast.
    """
    casts = []
    gathers = {node.input[0]: node for node in model.graph.node if node.op_type == "Gather"}
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        full = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        if np.array_equal(half.astype(np.float32), full):
            name = tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.fp16"))
            if is_embedding(name):
                gather = gathers[name]
                rows, gather.input[0], gather.output[0] = gather.output[0], f"{name}.fp16", f"{name}.rows"
                cast = onnx.helper.make_node("Cast", [f"{name}.rows"], [rows], to=onnx.TensorProto.FLOAT)
                model.graph.node.insert(list(model.graph.node).index(gather) + 1, cast)
            else:
                casts.append(onnx.helper.make_node("Cast", [f"{name}.fp16"], [name], to=onnx.TensorProto.FLOAT))
    for position, cast in enumerate(casts):
        model.graph.node.insert(position, cast)
