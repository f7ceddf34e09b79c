"""How weights are stored. That graphs compute what PyTorch does: tests/promptsearch/encoding/test_encoders.py."""

from __future__ import annotations

from pathlib import Path

import clip.model
import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
import torch

from builder.export.checkpoint import Checkpoint
from builder.export.graph import write_text_graph
from promptsearch.encoding.bundle import Bundle


def stored(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("file", ["text.onnx", "image.onnx"])
def test_weights_keep_their_names_and_values(vit_bundle: Bundle, vit_model: clip.model.CLIP, file: str) -> None:
    state = vit_model.state_dict()
    weights = {
        name.removeprefix("clip.").removesuffix(".fp16"): onnx.numpy_helper.to_array(tensor).astype(np.float32)
        for name, tensor in stored(vit_bundle.path(file)).items()
        if name.startswith("clip.")
    }
    tower = {name for name in state if name.startswith("visual.") == (file == "image.onnx")} - {"logit_scale"}
    assert set(weights) == tower
    for name, value in weights.items():
        np.testing.assert_array_equal(value, state[name].numpy(), err_msg=name)


@pytest.mark.parametrize("file", ["text.onnx", "image.onnx"])
def test_weights_that_half_precision_holds_are_stored_in_it(
    vit_bundle: Bundle, vit_model: clip.model.CLIP, file: str
) -> None:
    state = vit_model.state_dict()
    kinds = set()
    for name, tensor in stored(vit_bundle.path(file)).items():
        if name.startswith("clip."):
            value = state[name.removeprefix("clip.").removesuffix(".fp16")]
            exact = torch.equal(value.half().float(), value)
            kinds.add(exact)
            assert tensor.data_type == (onnx.TensorProto.FLOAT16 if exact else onnx.TensorProto.FLOAT), name
            assert name.endswith(".fp16") == exact
    assert kinds == {True, False}  # clip rounds matrices when it builds a model, and leaves norms as they are


def test_a_graph_says_nothing_of_the_machine_that_wrote_it(vit_bundle: Bundle) -> None:
    for file in ("text.onnx", "image.onnx"):
        data = vit_bundle.path(file).read_bytes()
        assert b"site-packages" not in data
        assert b"builder/export/graph.py" not in data


def test_the_text_graph_takes_any_batch_and_length(vit_checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_text_graph(vit_checkpoint.original(), tmp_path / "text.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "text.onnx"), providers=["CPUExecutionProvider"])
    for batch, length in ((1, 2), (1, 77), (3, 9), (33, 40)):
        tokens = np.full((batch, length), 49407, dtype=np.int64)
        assert session.run(None, {"tokens": tokens})[0].shape == (batch, 32)
