"""Graphs that PyTorch's exporter writes: of a ResNet, and the text tower beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest

from builder.export.pytorch.checkpoint import Checkpoint
from builder.export.pytorch.openai_clip import architecture
from promptsearch.encoding.bundle import Bundle


def stored(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


def test_a_resnet_is_described_in_words(resnet: Checkpoint) -> None:
    assert architecture(resnet.model()) == "CLIP ModifiedResNet 1-1-1-1 x 8, text transformer 1 x 64"


@pytest.mark.parametrize("file", ["text.onnx", "image.onnx"])
def test_weights_keep_their_names_and_values(resnet_bundle: Bundle, resnet: Checkpoint, file: str) -> None:
    state = resnet.model().state_dict()
    weights = {
        name.removeprefix("clip.").removesuffix(".fp16"): onnx.numpy_helper.to_array(tensor).astype(np.float32)
        for name, tensor in stored(resnet_bundle.path(file)).items()
        if name.startswith("clip.")
    }
    assert len(weights) > 10
    for name, value in weights.items():
        np.testing.assert_array_equal(value, state[name].numpy(), err_msg=name)


def test_graphs_contain_no_paths_of_the_machine(resnet_bundle: Bundle) -> None:
    for file in ("text.onnx", "image.onnx"):
        data = resnet_bundle.path(file).read_bytes()
        assert b"site-packages" not in data
        assert b"builder/export" not in data


def test_the_text_graph_takes_any_batch_and_length(resnet: Checkpoint, tmp_path: Path) -> None:
    resnet.original().write_text(tmp_path / "text.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "text.onnx"), providers=["CPUExecutionProvider"])
    for batch, length in ((1, 2), (1, 77), (3, 9), (33, 40)):
        tokens = np.full((batch, length), 49407, dtype=np.int64)
        assert session.run(None, {"tokens": tokens})[0].shape == (batch, 64 // 2)
