"""What is done without PyTorch, against PyTorch: graphs, the NumPy reference, tokens, files, open_clip's tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip
import clip.model
import clip.simple_tokenizer
import numpy as np
import onnxruntime
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from open_clip.pretrained import _PRETRAINED
from safetensors.torch import save_file
from torch import nn

from bench.support.checkpoints import VIT_B_32, random_state, save
from builder.export.clip import tokens
from builder.export.clip.architectures import ARCHITECTURES, QUICK_GELU
from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.clip.graph import write_image_graph, write_text_graph
from builder.export.clip.layouts import openai_names
from builder.export.clip.towers import NumpyTowers
from builder.export.clip.weights import Sizes, Weights, checked, rounded
from builder.export.export import export
from builder.export.fidelity import FP32_COSINE
from builder.export.opening import open_file
from builder.export.published.models import table
from builder.export.pytorch import graph as torch_graph
from builder.export.pytorch.checkpoint import Checkpoint, StateDict
from builder.export.pytorch.open_clip import OpenClipCheckpoint
from builder.export.pytorch.openai_clip import TextTower
from builder.export.weights.reader import read_weights
from promptsearch.encoding.bundle import ImageSpec, Source, TextSpec
from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.encoding.tokenizer import Tokenizer
from promptsearch.errors import ExportError
from tests.builder.export.pytorch import checkpoints
from tests.builder.export.pytorch.towers import VisionTower
from tests.support.texts import TEXTS


def weights_of(model: nn.Module) -> Weights:
    return checked({name: value.numpy() for name, value in model.state_dict().items()}, "model")


def with_gelu(model: clip.model.CLIP) -> clip.model.CLIP:
    """Return the model with open_clip's activation: clip itself has OpenAI's only."""
    for module in model.modules():
        if isinstance(module, clip.model.ResidualAttentionBlock):
            module.mlp.gelu = nn.GELU()
    return model


def run(path: Path, feed: dict[str, NDArray[Any]], *, optimise: bool) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, feed)[0]
    return found


@pytest.fixture(scope="module", params=["quick GELU", "GELU"])
def pair(
    request: pytest.FixtureRequest, vit_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return the folders of graphs of the same weights, written node by node, and by PyTorch's exporter."""
    ours, theirs = (tmp_path_factory.mktemp(name) for name in ("ours", "theirs"))
    model, quick_gelu = vit_checkpoint.model(), request.param == "quick GELU"
    model = model if quick_gelu else with_gelu(model)
    write_text_graph(weights_of(model), quick_gelu=quick_gelu, path=ours / "text.onnx")
    write_image_graph(weights_of(model), quick_gelu=quick_gelu, path=ours / "image.onnx")
    text = TextSpec(77, 49408, 49406, 49407, 0)
    torch_graph.write_text_graph(TextTower(model), text, theirs / "text.onnx")
    image = ImageSpec(64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    torch_graph.write_image_graph(VisionTower(model), image, theirs / "image.onnx")
    return ours, theirs


@pytest.mark.parametrize(("batch", "length"), [(1, 2), (1, 9), (3, 9), (8, 77)])
def test_text_graphs_are_pytorchs_to_the_bit(pair: tuple[Path, Path], batch: int, length: int) -> None:
    given = np.random.default_rng(length).integers(0, 49406, (batch, length))
    given[:, -1] = 49407
    check_same(pair, "text.onnx", {"tokens": given})


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_image_graphs_are_pytorchs_to_the_bit(pair: tuple[Path, Path], batch: int) -> None:
    pixels = np.random.default_rng(batch).normal(size=(batch, 3, 64, 64)).astype(np.float32)
    check_same(pair, "image.onnx", {"pixels": pixels})


def check_same(pair: tuple[Path, Path], file: str, feed: dict[str, NDArray[Any]]) -> None:
    """Assert equal graphs; optimised, only to the last bits, as ONNX Runtime fuses a few nodes of one alone."""
    ours, theirs = (run(folder / file, feed, optimise=False) for folder in pair)
    np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (run(folder / file, feed, optimise=True) for folder in pair)
    np.testing.assert_allclose(ours, theirs, atol=5e-6)


def numpy_towers(weights: Weights, *, quick_gelu: bool, special: tuple[str, str], cleaning: str) -> NumpyTowers:
    spec = TextSpec(77, 49408, 49406, 49407, 0, cleaning=cleaning)
    return NumpyTowers(weights, Tokenizer(tokens.tokenizer(special), spec), quick_gelu=quick_gelu)


def check_towers(ours: NumpyTowers, model: Any, tokenize: Callable[[list[str]], torch.Tensor], size: int) -> None:
    texts = [*TEXTS, "a photo of a fox"]
    np.testing.assert_array_equal(ours.tokenize(texts), tokenize(texts).numpy())
    pixels = np.random.default_rng(0).normal(size=(4, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        text = unit(model.encode_text(tokenize(texts)).numpy())
        image = unit(model.encode_image(torch.from_numpy(pixels)).numpy())
    np.testing.assert_allclose(unit(ours.encode_text(ours.tokenize(texts))), text, atol=2e-6)
    np.testing.assert_allclose(unit(ours.encode_image(pixels)), image, atol=2e-6)


def test_numpys_vectors_are_clips(vit_model: clip.model.CLIP) -> None:
    ours = numpy_towers(weights_of(vit_model), quick_gelu=True, special=tokens.OPENAI, cleaning="clip")
    check_towers(ours, vit_model, clip.tokenize, 64)


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["ViT-B-32", f"ViT-B-32{QUICK_GELU}"])
def test_numpys_vectors_are_open_clips(architecture: str) -> None:
    """The models have full size, as open_clip knows no smaller ones in this layout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model(architecture, load_weights=False).eval().requires_grad_(False)
    weights = checked(openai_names({name: value.numpy() for name, value in model.state_dict().items()}), architecture)
    quick_gelu = architecture.endswith(QUICK_GELU)
    ours = numpy_towers(weights, quick_gelu=quick_gelu, special=tokens.OPEN_CLIP, cleaning="lower")
    check_towers(ours, model, open_clip.get_tokenizer(architecture), 224)


@pytest.mark.long
@pytest.mark.parametrize("open_clip_name", [None, "ViT-B-32"])
def test_full_size_weights_are_compared_with_pytorch_if_it_is_here(open_clip_name: str | None, tmp_path: Path) -> None:
    path = save(random_state(VIT_B_32), tmp_path / "random.pt")
    checkpoint = open_file(path, open_clip=open_clip_name, pretrained=open_clip_name and "laion2b_s34b_b79k")
    assert isinstance(checkpoint, ClipCheckpoint)
    bundle = export(checkpoint, tmp_path / "model")
    fp32 = bundle.precisions["fp32"]
    assert fp32.reference == "pytorch"
    assert min(fp32.fidelity["text_cosine_min"], fp32.fidelity["image_cosine_min"]) >= FP32_COSINE
    assert bundle.source.open_clip == open_clip_name


def test_the_checkpoint_of_a_bundle_gives_the_identity_of_pytorchs_export(
    vit_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    source = Source(vit_checkpoint.name, vit_checkpoint.sha256)
    ours = ClipCheckpoint(source, weights_of(vit_checkpoint.model()))
    one, other = export(ours, tmp_path / "one"), export(vit_checkpoint, tmp_path / "other")
    assert (one.precisions["fp32"].reference, other.precisions["fp32"].reference) == ("numpy", "pytorch")
    assert one.identity == other.identity
    assert one.files == other.files
    np.testing.assert_array_equal(Encoders(one).encode_texts(TEXTS), Encoders(other).encode_texts(TEXTS))


def test_products_are_rounded_as_clip_rounds_them(vit_state: StateDict) -> None:
    state = {name: value.float() + 1e-5 for name, value in vit_state.items() if value.is_floating_point()}
    theirs = Checkpoint("tiny", "", state).model().state_dict()
    ours = ClipCheckpoint(Source("tiny", ""), checked({name: value.numpy() for name, value in state.items()}, "tiny"))
    for name, value in rounded(ours.weights).items():
        np.testing.assert_array_equal(value, theirs[name].numpy(), err_msg=name)


def test_vocabularies_and_merges_are_clips_and_open_clips() -> None:
    for special, theirs in (
        (tokens.OPENAI, clip.simple_tokenizer.SimpleTokenizer()),
        (tokens.OPEN_CLIP, open_clip.SimpleTokenizer()),
    ):
        ours = json.loads(tokens.tokenizer(special).to_str())["model"]
        assert ours["vocab"] == theirs.encoder
        assert [tuple(merge) for merge in ours["merges"]] == list(theirs.bpe_ranks)


TENSORS = {
    "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "half": torch.tensor([0.5, -2.0]).half(),
    "brain": torch.tensor([1.5, -3e30]).bfloat16(),
    "double": torch.ones(3, dtype=torch.float64),
    "number": torch.tensor(4.6),
    "whole": torch.tensor([1, 2**40]),
    "flags": torch.tensor([True, False]),
    "nothing": torch.zeros(0, 3),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
}


def check_read(path: Path) -> None:
    found = read_weights(path)
    assert found.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        expected = value.float() if value.dtype == torch.bfloat16 else value
        np.testing.assert_array_equal(found[name], expected.numpy(), err_msg=name)
        assert found[name].dtype == expected.numpy().dtype


def test_files_of_torch_save_are_read(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "a.pt")
    check_read(tmp_path / "a.pt")
    torch.save({"epoch": 3, "loss": 0.1, "name": "x", "state_dict": TENSORS}, tmp_path / "a.bin")
    check_read(tmp_path / "a.bin")
    module = nn.Module()
    for name, value in TENSORS.items():
        module.register_parameter(f"{name}_", nn.Parameter(value, requires_grad=False))
    for content in (dict(module.named_parameters()), module.state_dict()):  # which has `_metadata`
        torch.save(content, tmp_path / "module.pt")
        found = read_weights(tmp_path / "module.pt")
        assert found.keys() == {f"{name}_" for name in TENSORS}
        np.testing.assert_array_equal(found["transposed_"], TENSORS["transposed"].numpy())


def test_safetensors_files_are_read(tmp_path: Path) -> None:
    save_file({name: value.contiguous() for name, value in TENSORS.items()}, tmp_path / "a.safetensors")
    check_read(tmp_path / "a.safetensors")


def test_shared_storages_and_views_are_read(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    torch.save({"base": base, "column": base[:, 1], "row": base[2], "same": base}, tmp_path / "a.pt")
    found = read_weights(tmp_path / "a.pt")
    np.testing.assert_array_equal(found["column"], base[:, 1])
    np.testing.assert_array_equal(found["row"], base[2])
    np.testing.assert_array_equal(found["same"], base)


def test_an_archive_as_openai_publishes_them_is_read_without_its_code(vit_state: StateDict, tmp_path: Path) -> None:
    path = checkpoints.save_torchscript(vit_state, tmp_path / "tiny.pt", 64)
    found = read_weights(path)
    numbers = [int(found.pop(name)) for name in ("input_resolution", "context_length", "vocab_size")]
    assert numbers == [64, 77, 49408]
    wanted = Checkpoint("tiny", "", vit_state).model().state_dict()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value.numpy(), err_msg=name)


def test_old_torch_files_raise_an_error_with_a_remedy(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ExportError, match=r"before 1\.6: save it again"):
        read_weights(tmp_path / "old.pt")


def test_weights_that_only_open_clip_knows_are_exported_through_it(vit_state: StateDict, tmp_path: Path) -> None:
    path = save(vit_state, tmp_path / "tiny.pt")
    checkpoint = open_file(path, open_clip=f"ViT-B-32{QUICK_GELU}", pretrained="openai")
    assert isinstance(checkpoint, OpenClipCheckpoint)
    assert checkpoint.pretrained == "openai"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_are_open_clips(name: str) -> None:
    config = open_clip.get_model_config(name)
    vision, text = config["vision_cfg"], config["text_cfg"]
    assert ARCHITECTURES[name] == Sizes(
        embedding_dim=config["embed_dim"],
        image_size=vision["image_size"],
        patch=vision["patch_size"],
        vision_layers=vision["layers"],
        vision_width=vision["width"],
        context_length=text["context_length"],
        vocabulary=text["vocab_size"],
        text_width=text["width"],
        text_layers=text["layers"],
    )
    assert text["heads"] * 64 == text["width"]
    assert not config.get("quick_gelu")
    if (quick := open_clip.get_model_config(f"{name}{QUICK_GELU}")) is not None:
        assert quick["quick_gelu"]
        assert (quick["vision_cfg"], quick["text_cfg"]) == (vision, text)


@pytest.mark.parametrize("name", table())
def test_urls_of_published_weights_equal_those_of_open_clip(name: str) -> None:
    row = table()[name]
    if row.open_clip is None:
        known = {each["openai"]["url"] for each in _PRETRAINED.values() if "openai" in each}
        assert row.url in known
        assert row.sha256 == str(row.url).split("/")[-2]
        return
    theirs = open_clip.get_pretrained_cfg(row.open_clip, row.tag)
    assert (row.mean, row.std) == (theirs["mean"], theirs["std"])
    assert row.quick_gelu == theirs.get("quick_gelu", False)
    assert (theirs["interpolation"], theirs["resize_mode"]) == ("bicubic", "shortest")
    if row.repository is not None:
        assert theirs["hf_hub"] == f"{row.repository}/"
    else:
        assert row.url == theirs["url"]
        assert str(row.url).rsplit("-", 1)[1].split(".")[0] == row.sha256
