"""The ONNX graphs of a CLIP with two transformers, made node by node: no PyTorch, and a second's work.

Both compute what clip/model.py computes, bit for bit what PyTorch's exporter makes of it, with two savings. The text
tower is causal and its result is read at the end token: what follows that token cannot reach the result, so a text is
read at its real length. The image tower's result is read at the first token: of the last layer only that is computed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from numpy.typing import NDArray

from ..onnx_files import OPSET, require_fitting, save, store_in_half
from .weights import HEAD, Sizes, Weights

_PREFIX = "clip."  # of the weights' names, which `quantise` and the torch engine look for
_EPSILON = 1e-5  # torch.nn.LayerNorm's
_IR = 10  # version of ONNX's file format: the first that has OPSET's types


def write_text_graph(weights: Weights, *, quick_gelu: bool, path: Path) -> None:
    """Write the text encoder, int64 [batch, length] -> float32 [batch, embedding_dim], not normalised."""
    sizes = Sizes.of(weights)
    graph = _Graph(weights, quick_gelu)
    length = graph.node("Shape", "tokens", start=1, end=2)
    positions = graph.node("Slice", graph.weight("positional_embedding"), graph.numbers(0), length, graph.numbers(0))
    x = graph.node("Add", graph.node("Gather", graph.weight("token_embedding.weight"), "tokens", axis=0), positions)
    for layer in range(sizes.text_layers):
        x = graph.block(x, f"transformer.resblocks.{layer}.", sizes.text_width, causal=True)
    x = graph.norm(x, "ln_final")
    ends = graph.node("ArgMax", "tokens", axis=-1, keepdims=1)  # the end token has the highest id
    graph.node("MatMul", graph.node("GatherND", x, ends, batch_dims=1), graph.weight("text_projection"), out="vectors")
    tokens = onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["batch", "length"])
    graph.write(tokens, sizes.embedding_dim, path)


def write_image_graph(weights: Weights, *, quick_gelu: bool, path: Path) -> None:
    """Write the image encoder, float32 [batch, 3, size, size] -> float32 [batch, embedding_dim], not normalised."""
    sizes = Sizes.of(weights)
    width, patch, size = sizes.vision_width, sizes.patch, sizes.image_size
    graph = _Graph(weights, quick_gelu)
    x = graph.node(
        "Conv", "pixels", graph.weight("visual.conv1.weight"), kernel_shape=[patch, patch], strides=[patch, patch]
    )
    x = graph.node("Transpose", graph.node("Reshape", x, graph.numbers(0, width, -1)), perm=[0, 2, 1])
    batch = graph.node("Shape", "pixels", start=0, end=1)
    one_each = graph.node("Concat", batch, graph.numbers(1, 1), axis=0)
    first = graph.node("Expand", graph.weight("visual.class_embedding"), one_each)
    x = graph.node("Concat", first, x, axis=1)
    x = graph.norm(graph.node("Add", x, graph.weight("visual.positional_embedding")), "visual.ln_pre")
    for layer in range(sizes.vision_layers - 1):
        x = graph.block(x, f"visual.transformer.resblocks.{layer}.", width)
    x = graph.block(x, f"visual.transformer.resblocks.{sizes.vision_layers - 1}.", width, first=True)
    x = graph.norm(graph.node("Gather", x, graph.scalar(0), axis=1), "visual.ln_post")
    graph.node("MatMul", x, graph.weight("visual.proj"), out="vectors")
    pixels = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, ["batch", 3, size, size])
    graph.write(pixels, sizes.embedding_dim, path)


class _Graph:
    """A graph that grows: methods add nodes and return the name of their result."""

    def __init__(self, weights: Weights, quick_gelu: bool) -> None:
        self._weights = weights
        self._quick_gelu = quick_gelu
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, NDArray[Any]] = {}

    def node(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add a node."""
        out = out or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(onnx.helper.make_node(operator, inputs, [out], name=f"node_{out}", **attributes))
        return out

    def weight(self, name: str) -> str:
        """Refer to a weight by OpenAI's name."""
        return self._initializer(f"{_PREFIX}{name}", self._weights[name])

    def numbers(self, *values: int) -> str:
        """Refer to a list of whole numbers."""
        return self._initializer(f"numbers_{'_'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """Refer to a number: float32, or int64 if it is an int."""
        kind = np.int64 if isinstance(value, int) else np.float32
        return self._initializer(f"number_{value}", np.array(value, dtype=kind))

    def _initializer(self, name: str, value: NDArray[Any]) -> str:
        self._initializers[name] = value
        return name

    def norm(self, x: str, name: str) -> str:
        """Add a layer norm."""
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=_EPSILON)

    def linear(self, x: str, weight: str, bias: str) -> str:
        """Add the product with a matrix [out, in], and a bias."""
        return self.node("Add", self.node("MatMul", x, self.node("Transpose", weight, perm=[1, 0])), bias)

    def rows(self, x: str, start: int, end: int, axis: int = 0) -> str:
        """Add a slice."""
        return self.node("Slice", x, self.numbers(start), self.numbers(end), self.numbers(axis))

    def split(self, x: str, parts: int) -> list[str]:
        """Add a split of the last axis into equal parts."""
        outs = [f"split_{len(self._nodes)}_{part}" for part in range(parts)]
        self._nodes.append(
            onnx.helper.make_node("Split", [x], outs, name=f"node_{outs[0]}", axis=-1, num_outputs=parts)
        )
        return outs

    def block(self, x: str, name: str, width: int, *, causal: bool = False, first: bool = False) -> str:
        """Add a layer (clip/model.py: ResidualAttentionBlock); with `first` its result is that of the first token."""
        kv = q = self.norm(x, f"{name}ln_1")
        if first:
            x, q = self.rows(x, 0, 1, axis=1), self.rows(kv, 0, 1, axis=1)
        x = self.node("Add", x, self.attention(q, kv, f"{name}attn.", width, causal))
        hidden = self.linear(
            self.norm(x, f"{name}ln_2"), self.weight(f"{name}mlp.c_fc.weight"), self.weight(f"{name}mlp.c_fc.bias")
        )
        active = self.activation(hidden)
        weight, bias = self.weight(f"{name}mlp.c_proj.weight"), self.weight(f"{name}mlp.c_proj.bias")
        return self.node("Add", x, self.linear(active, weight, bias))

    def activation(self, x: str) -> str:
        """Add GELU, or OpenAI's approximation of it."""
        if not self._quick_gelu:
            return self.node("Gelu", x)
        return self.node("Mul", x, self.node("Sigmoid", self.node("Mul", x, self.scalar(1.702))))

    def attention(self, q: str, kv: str, name: str, width: int, causal: bool) -> str:
        """Add multi-head attention of `q` to `kv`."""
        weight, bias = self.weight(f"{name}in_proj_weight"), self.weight(f"{name}in_proj_bias")
        if q == kv:  # one product is faster than two
            projected = self.linear(kv, weight, bias)
            query, key, value = self.split(projected, 3)
        else:
            query = self.linear(q, self.rows(weight, 0, width), self.rows(bias, 0, width))
            rest = self.linear(kv, self.rows(weight, width, 3 * width), self.rows(bias, width, 3 * width))
            key, value = self.split(rest, 2)
        heads = width // HEAD
        mixed = self.node("Attention", query, key, value, is_causal=int(causal), q_num_heads=heads, kv_num_heads=heads)
        return self.linear(mixed, self.weight(f"{name}out_proj.weight"), self.weight(f"{name}out_proj.bias"))

    def write(self, given: onnx.ValueInfoProto, embedding_dim: int, path: Path) -> None:
        """Write the graph with its weights, in fp16 where that is exact."""
        vectors = onnx.helper.make_tensor_value_info("vectors", onnx.TensorProto.FLOAT, ["batch", embedding_dim])
        stored = [onnx.numpy_helper.from_array(value, name) for name, value in self._initializers.items()]
        graph = onnx.helper.make_graph(self._nodes, path.stem, [given], [vectors], stored)
        opset = onnx.helper.make_opsetid("", OPSET)
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=_IR, producer_name="prompt-search")
        store_in_half(model)
        require_fitting(model, path.name)
        save(model, path)
