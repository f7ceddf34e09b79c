"""The nodes and weights of quantised encoders; test_export.py measures how close they are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
from numpy.typing import NDArray

from builder.export.quantization import FORMS, Form, quantise
from promptsearch.encoding.bundle import Bundle
from tests.support.workspace import ROOT

FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def stored(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


def run(path: Path, feed: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, feed)[0]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def resnet() -> Path:
    """Return the path of the demo model's image tower, which is a ResNet."""
    return ROOT / "models" / "emoji" / "image.onnx"


@pytest.mark.parametrize("form", FORMS)
def test_the_text_graph_takes_any_batch_and_length(exported: Bundle, tmp_path: Path, form: Form) -> None:
    quantise(exported.path("text.onnx"), tmp_path / "text.onnx", form)
    random = np.random.default_rng(0)
    for batch, length in ((1, 2), (1, 77), (3, 9), (33, 40)):
        tokens = random.integers(0, 49407, (batch, length))
        tokens[:, -1] = 49407
        ours, fp32 = (run(path, {"tokens": tokens}) for path in (tmp_path / "text.onnx", exported.path("text.onnx")))
        assert np.vecdot(ours, fp32).min() > 0.98


@pytest.mark.parametrize("form", FORMS)
def test_large_weights_are_bytes_and_the_projection_is_not(exported: Bundle, tmp_path: Path, form: Form) -> None:
    for file in ("text.onnx", "image.onnx"):
        quantise(exported.path(file), tmp_path / file, form)
        weights = stored(tmp_path / file)
        projection = weights["clip.text_projection.fp16" if file == "text.onnx" else "clip.visual.proj.fp16"]
        assert projection.data_type == onnx.TensorProto.FLOAT16
        # Of what is a matrix or larger, nothing but these and the quantisers' scales is in floats.
        kept = {
            "text_projection",
            "positional_embedding",
            "visual.proj",
            "visual.positional_embedding",
            "visual.conv1.weight",
        }
        for name, tensor in weights.items():
            if name.startswith("clip.") and len(tensor.dims) > 1 and tensor.data_type in FLOATS and "scale" not in name:
                assert name.removeprefix("clip.").removesuffix(".fp16") in kept


def test_the_token_embedding_is_bytes_with_a_scale_a_row(exported: Bundle, tmp_path: Path) -> None:
    quantise(exported.path("text.onnx"), tmp_path / "text.onnx", "dynamic")
    weights = stored(tmp_path / "text.onnx")
    values = onnx.numpy_helper.to_array(weights["clip.token_embedding.weight.int8"])
    scales = onnx.numpy_helper.to_array(weights["clip.token_embedding.weight.scale"])
    assert values.dtype == np.int8
    assert (values.shape, scales.shape) == ((49408, 64), (49408, 1))
    half = stored(exported.path("text.onnx"))
    name = next(name for name in half if "token_embedding" in name)
    original = onnx.numpy_helper.to_array(half[name]).astype(np.float32)
    assert np.abs(values * scales - original).max() <= scales.max() / 2 * 1.001


def test_a_resnets_convolutions_are_bytes_but_the_first(resnet: Path, tmp_path: Path) -> None:
    quantise(resnet, tmp_path / "image.onnx", "blockwise")
    graph = onnx.load(tmp_path / "image.onnx").graph
    weights = stored(tmp_path / "image.onnx")
    convolutions = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 10
    assert f"{convolutions[0]}.int8" not in weights
    assert all(weights[f"{name}.int8"].data_type == onnx.TensorProto.INT8 for name in convolutions[1:])
    pixels = np.random.default_rng(0).normal(size=(4, 3, 64, 64)).astype(np.float32)
    ours, fp32 = (run(path, {"pixels": pixels}) for path in (tmp_path / "image.onnx", resnet))
    assert np.vecdot(ours, fp32).min() > 0.98


def test_rows_of_zeros_stay_zero(exported: Bundle, tmp_path: Path) -> None:
    model = onnx.load(exported.path("text.onnx"))
    for tensor in model.graph.initializer:
        if "token_embedding" in tensor.name:
            weight = onnx.numpy_helper.to_array(tensor).copy()
            weight[5] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
    onnx.save(model, tmp_path / "text.onnx")
    quantise(tmp_path / "text.onnx", tmp_path / "int8.onnx", "dynamic")
    assert np.isfinite(run(tmp_path / "int8.onnx", {"tokens": np.array([[5, 5, 49407]])})).all()


def test_quantising_keeps_the_log_configuration(
    exported: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for form in FORMS:
        quantise(exported.path("image.onnx"), tmp_path / "image.onnx", form)
    assert not caplog.records
    logging.getLogger("after").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]
