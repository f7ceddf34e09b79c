"""The bytes of an encoder's weights while it computes."""

from __future__ import annotations

import math

import onnx

from promptsearch.encoding.bundle import FILES, Bundle

_BYTES = {onnx.TensorProto.INT8: 1, onnx.TensorProto.UINT8: 1}


def weights_of(bundle: Bundle, precision: str) -> int:
    """Return the bytes of both encoders together; weights stored in half precision count as float32."""
    names = (FILES.text, FILES.image) if precision == "fp32" else (FILES.text_int8, FILES.image_int8)
    graphs = [onnx.load(str(bundle.path(name))).graph for name in names]
    return sum(
        _BYTES.get(weight.data_type, 4) * math.prod(weight.dims) for graph in graphs for weight in graph.initializer
    )
