"""The graphs that are made node by node. That they are PyTorch's, bit for bit: tests/builder/export/pytorch/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
from numpy.typing import NDArray

from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.clip.graph import write_text_graph
from builder.export.export import export
from builder.export.fidelity import FP32_COSINE
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders, unit
from tests.support.texts import TEXTS
from tests.support.tiny import Reference, pictures


def stored(path: Path) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


def run(path: Path, feed: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, feed)[0]
    return found


def test_texts_and_pictures_are_pytorchs(exported_encoders: Encoders) -> None:
    np.testing.assert_allclose(exported_encoders.encode_texts(TEXTS), Reference.read().texts, atol=1e-6)
    np.testing.assert_allclose(exported_encoders.encode_images(pictures()), Reference.read().pictures, atol=1e-6)


@pytest.mark.parametrize("file", ["text.onnx", "image.onnx"])
def test_graphs_are_valid(exported: Bundle, file: str) -> None:
    onnx.checker.check_model(str(exported.path(file)), full_check=True)


@pytest.mark.parametrize("file", ["text.onnx", "image.onnx"])
def test_weights_keep_their_names_and_values_and_half_of_them_their_size(
    exported: Bundle, tiny_checkpoint: ClipCheckpoint, file: str
) -> None:
    weights, names, kinds = tiny_checkpoint.weights, set(), set()
    for name, tensor in stored(exported.path(file)).items():
        if name.startswith("clip."):
            value = onnx.numpy_helper.to_array(tensor)
            original = weights[name.removeprefix("clip.").removesuffix(".fp16")]
            np.testing.assert_array_equal(value.astype(np.float32), original, err_msg=name)
            exact = np.array_equal(original.astype(np.float16), original)
            assert value.dtype == (np.float16 if exact else np.float32), name
            assert name.endswith(".fp16") == exact
            names.add(name.removeprefix("clip.").removesuffix(".fp16"))
            kinds.add(exact)
    assert names == {name for name in weights if name.startswith("visual.") == (file == "image.onnx")} - {"logit_scale"}
    assert kinds == {True, False}


def test_the_text_graph_takes_any_batch_and_length(exported: Bundle) -> None:
    for batch, length in ((1, 2), (1, 77), (3, 9), (33, 40)):
        tokens = np.full((batch, length), 49407, dtype=np.int64)
        assert run(exported.path("text.onnx"), {"tokens": tokens}).shape == (batch, 32)


def test_the_image_graph_takes_any_batch(exported: Bundle) -> None:
    for batch in (1, 2, 33):
        assert run(exported.path("image.onnx"), {"pixels": np.zeros((batch, 3, 64, 64), np.float32)}).shape == (
            batch,
            32,
        )


def test_padding_after_the_end_token_changes_nothing(exported: Bundle) -> None:
    tokens = np.array([[49406, 320, 1125, 49407]])
    padded = np.pad(tokens, ((0, 0), (0, 73)))
    ours, theirs = (unit(run(exported.path("text.onnx"), {"tokens": each})) for each in (tokens, padded))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_open_clips_activation_is_exported(gelu_checkpoint: ClipCheckpoint, tmp_path: Path) -> None:
    bundle = export(gelu_checkpoint, tmp_path / "gelu")
    fidelity = bundle.precisions["fp32"].fidelity
    assert min(fidelity["text_cosine_min"], fidelity["image_cosine_min"]) >= FP32_COSINE
    assert bundle.source.open_clip == "tiny-ViT"
    assert (bundle.text.cleaning, bundle.architecture) == ("lower", "open_clip tiny-ViT")
    assert "<start_of_text>" in bundle.path("tokenizer.json").read_text(encoding="utf-8")
    assert np.vecdot(Encoders(bundle).encode_texts(TEXTS), Reference.read().texts).min() < FP32_COSINE


def test_a_graph_is_the_same_bytes_each_time(exported: Bundle, tiny_checkpoint: ClipCheckpoint, tmp_path: Path) -> None:
    tiny_checkpoint.original().write_text(tmp_path / "text.onnx")
    assert (tmp_path / "text.onnx").read_bytes() == exported.path("text.onnx").read_bytes()


def test_another_text_graph_replaces_the_embedding_beside_it(tiny_checkpoint: ClipCheckpoint, tmp_path: Path) -> None:
    for _ in range(2):
        write_text_graph(tiny_checkpoint.weights, quick_gelu=True, path=tmp_path / "text.onnx")
    assert (tmp_path / "text.onnx.data").stat().st_size == 49408 * 64 * 2
