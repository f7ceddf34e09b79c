"""An exported tower with 8-bit weights: about half the fp32 file, and on a CPU a third to a half of the time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from .onnx_files import is_embedding, save, store_in_half
from .quiet import quiet

# How matrix products are computed.
# "dynamic": activations become 8 bits with one scale for all of them, measured as they come. The fastest.
# "blockwise": activations become 8 bits with a scale for each BLOCK of each row, so that one large value does not
# coarsen all others. About half the gain in time, and closer to fp32.
Form = Literal["dynamic", "blockwise"]
FORMS: tuple[Form, ...] = ("dynamic", "blockwise")
BLOCK = 32


def quantise(source: Path, target: Path, form: Form) -> None:
    """Write the fp32 graph `source` of `onnx_files` with 8-bit weights to `target`.

    Matrices follow `form`. The token embedding is kept as bytes with a scale a row, and only the rows of a text's
    tokens are scaled. Convolutions keep 8-bit weights in the file alone, with a scale an output channel, and compute
    in fp32: 8-bit activations made ResNets unfaithful (cosines of 0.95). The first convolution, which sees the
    picture, and the final projection, which makes the vector, stay as they are: they are small, and nothing after
    them evens an error out.
    """
    model = _folded(source)
    _products_of_gemms(model)
    last = _last_product(model)
    _embedding_in_bytes(model)
    _convolutions_in_bytes(model)
    model = _dynamic(model, last) if form == "dynamic" else _blockwise(model, last)
    store_in_half(model)
    save(model, target)


def _folded(source: Path) -> onnx.ModelProto:
    """Return the graph after ONNX Runtime has carried out its casts and transposes of weights."""
    with tempfile.TemporaryDirectory() as scratch:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(scratch) / "folded.onnx")
        options.log_severity_level = 3
        # In one file: what lies beside the graph would be looked for beside the folded one.
        whole = str(Path(scratch) / "whole.onnx")
        onnx.save(onnx.load(source), whole)
        onnxruntime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _products_of_gemms(model: onnx.ModelProto) -> None:
    """Replace each Gemm with a weight by MatMul, and Add if it has a bias, which the quantisers support."""
    weights = _weights(model)
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Gemm" or node.input[1] not in weights:
            nodes.append(node)
            continue
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        assert not attributes.get("transA")
        assert {attributes.get("alpha", 1.0), attributes.get("beta", 1.0)} == {1.0}
        weight = onnx.numpy_helper.to_array(weights[node.input[1]])
        if attributes.get("transB"):
            weight = np.ascontiguousarray(weight.T)
        matrix, product = f"{node.input[1]}.matrix", f"{node.output[0]}.product"
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, matrix))
        has_bias = len(node.input) > 2
        result = [product] if has_bias else node.output
        nodes.append(onnx.helper.make_node("MatMul", [node.input[0], matrix], result, name=f"{node.name}.product"))
        if has_bias:
            nodes.append(onnx.helper.make_node("Add", [product, node.input[2]], node.output, name=f"{node.name}.sum"))
    _replace_nodes(model, nodes)


def _embedding_in_bytes(model: onnx.ModelProto) -> None:
    weights = _weights(model)
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Gather" or not is_embedding(node.input[0]):
            nodes.append(node)
            continue
        weight, tokens = weights[node.input[0]], node.input[1]
        name = weight.name.removesuffix(".fp16")
        values, scales = _in_bytes(onnx.numpy_helper.to_array(weight).astype(np.float32))
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, f"{name}.int8"))
        model.graph.initializer.append(onnx.numpy_helper.from_array(scales, f"{name}.scale"))
        nodes += [
            onnx.helper.make_node("Gather", [f"{name}.int8", tokens], [f"{name}.bytes"]),
            onnx.helper.make_node("Cast", [f"{name}.bytes"], [f"{name}.values"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Gather", [f"{name}.scale", tokens], [f"{name}.scales"]),
            onnx.helper.make_node("Mul", [f"{name}.values", f"{name}.scales"], node.output),
        ]
    _replace_nodes(model, nodes)
    del model.graph.value_info[:]  # rows of a table in fp16 were so, too


def _convolutions_in_bytes(model: onnx.ModelProto) -> None:
    """Restore each weight with a cast and a product, which ONNX Runtime computes once, when it loads the model."""
    weights = _weights(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"][1:]
    restoring = []
    for name in dict.fromkeys(node.input[1] for node in convolutions):
        values, scales = _in_bytes(onnx.numpy_helper.to_array(weights[name]))
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, f"{name}.int8"))
        model.graph.initializer.append(onnx.numpy_helper.from_array(scales, f"{name}.scale"))
        restoring += [
            onnx.helper.make_node("Cast", [f"{name}.int8"], [f"{name}.values"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [f"{name}.values", f"{name}.scale"], [name]),
        ]
    _replace_nodes(model, [*restoring, *model.graph.node])


def _in_bytes(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 values and float32 scales [n, 1, …], one for each row of the weight, which is their product."""
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def _dynamic(model: onnx.ModelProto, last: str) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as scratch, quiet():  # every node that is skipped is logged
        target = Path(scratch) / "dynamic.onnx"
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[last],
            per_channel=True,
            reduce_range=True,  # 7 bits: two products of 8 bits overflow AVX2's 16-bit sums
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)


def _blockwise(model: onnx.ModelProto, last: str) -> onnx.ModelProto:
    # accuracy_level 4: the products are of 8-bit whole numbers, rather than of weights made fp32 again each time.
    config = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, accuracy_level=4, bits=8)
    with quiet():
        quantiser = MatMulNBitsQuantizer(model, algo_config=config, nodes_to_exclude=[last])
        quantiser.process()
    quantised: onnx.ModelProto = quantiser.model.model
    return quantised


def _last_product(model: onnx.ModelProto) -> str:
    """Return the name of the projection to the vector: the last product with a weight."""
    weights = _weights(model)
    names: list[str] = [n.name for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    return names[-1]


def _weights(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put these nodes in the place of all, and drop the weights that none of them reads or that one of them makes."""
    nodes = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    wanted = {name for node in nodes for name in node.input} - {name for node in nodes for name in node.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
