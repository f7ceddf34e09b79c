"""open_clip's architectures: models with the weights of a local file, their inputs, and their text towers for export.

Only a tokenizer is downloaded from the Hugging Face hub, if none is passed.
"""

from __future__ import annotations

import difflib
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import convert_state_dict, convert_to_custom_text_state_dict
from open_clip.hf_model import HFTextEncoder
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from open_clip.transformer import text_global_pool
from timm.utils.model import reparameterize_model
from torch import nn

from promptsearch.encoding.bundle import Bundle, ImageSpec, Source, TextSpec
from promptsearch.errors import ExportError
from promptsearch.system.files import sha256_of

from ..clip.layouts import openai_names
from ..original import Original
from ..quiet import quiet
from ..weights.reader import read_weights
from . import open_clip_tokens
from .checkpoint import StateDict, state_of_bundle, tensors
from .graph import write_image_graph, write_text_graph
from .openai_clip import ImageTower
from .towers import TorchTowers

log = logging.getLogger(__name__)

_RESIZE = {"shortest": ("shorter-side", "centre"), "squash": ("squash", "none")}
_POOLING = {"argmax": "end-of-text", "eos": "end-of-text", "first": "first", "last": "last"}
# The text towers of transformers that are supported, and what no tensor of theirs tells: RoBERTa's configuration.
_HF_KINDS = ("xlm-roberta", "roberta")
_ROBERTA = {"layer_norm_eps": 1e-5, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
_HEAD = 64  # width of each attention head, in every size of RoBERTa
_REPARAMETERISED = ".reparam_conv."  # in the names of timm's layers whose branches were joined
_SHOWN = 4  # tensors that an error names


@dataclass(frozen=True)
class OpenClipCheckpoint:
    """The weights of one of open_clip's architectures.

    `pretrained`: which published weights they are or were tuned from, by open_clip's name; it says how pictures are
    prepared. `tokenizer`: a `tokenizers` file or a folder that holds one, for architectures whose tokenizer does not
    come with open_clip.
    """

    source: Source
    architecture: str
    state: StateDict
    pretrained: str | None = None
    tokenizer: Path | None = None

    @classmethod
    def file(
        cls, architecture: str, path: Path, *, pretrained: str | None = None, tokenizer: Path | None = None
    ) -> OpenClipCheckpoint:
        """Read a local file: safetensors, a state dict, or a training checkpoint with one. Raises ExportError."""
        architecture = _known(architecture)
        state = tensors(openai_names(read_weights(path)))
        return cls(Source(path.name, sha256_of(path), architecture), architecture, state, pretrained, tokenizer)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> OpenClipCheckpoint:
        """Read the weights back from a bundle's fp32 ONNX files."""
        assert bundle.source.open_clip is not None
        return cls(bundle.source, _known(bundle.source.open_clip), state_of_bundle(bundle))

    def model(self) -> Any:
        """Return open_clip's model, in fp32 on the CPU, for inference. Raises ExportError if the weights do not fit."""
        config = open_clip.get_model_config(self.architecture)["text_cfg"]
        with quiet(), tempfile.TemporaryDirectory() as scratch:  # open_clip warns that it loads no weights
            changed = {}
            if name := config.get("hf_model_name"):
                described = _roberta(name, self.source.name, self.state)
                (Path(scratch) / "config.json").write_text(json.dumps(described), encoding="utf-8")
                changed["text_cfg"] = {**config, "hf_model_name": scratch, "hf_model_pretrained": False}
            model = open_clip.create_model(self.architecture, load_weights=False, pretrained_text=False, **changed)
        if any(_REPARAMETERISED in name for name in self.state):  # read back from a bundle
            model = reparameterize_model(model)
        model.load_state_dict(self._fitting(model))
        return model.float().eval().requires_grad_(False)

    def towers(self) -> TorchTowers:
        """Return open_clip's model with its tokenizer, as the reference of an export. Raises ExportError."""
        return TorchTowers(self.model(), open_clip.get_tokenizer(self.architecture))

    def original(self) -> Original:
        """Return the model in the form that is exported. Raises ExportError."""
        config = open_clip.get_model_config(self.architecture)
        _require_supported(self.architecture, config)
        prepared = _preprocessing(self.architecture, config, self.pretrained)
        model = self.model()
        tokens = self._tokens(config["text_cfg"], model)
        image = _image_spec(self.architecture, model, prepared)
        text = _text_spec(self.architecture, config["text_cfg"], model, tokens)
        text_tower: nn.Module = HFTower(model) if _is_hf(model) else TextTower(model)
        # MobileCLIP's convolutions have branches for training, which give one convolution: a third of the time.
        image_tower = reparameterize_model(ImageTower(model))
        bias = getattr(model, "logit_bias", None)
        return Original(
            source=self.source,
            architecture=f"open_clip {self.architecture}",
            reference=TorchTowers(model, tokens.tokenize),
            write_text=lambda path: write_text_graph(text_tower, text, path),
            write_image=lambda path: write_image_graph(image_tower, image, path),
            is_convolutional=sum(isinstance(layer, nn.Conv2d) for layer in image_tower.modules()) > 1,
            embedding_dim=config["embed_dim"],
            logit_scale=round(model.logit_scale.item(), 6),
            logit_bias=None if bias is None else round(bias.item(), 6),
            image=image,
            text=text,
            tokenizer=tokens.file,
            licences=tokens.licences,
        )

    def _tokens(self, config: Mapping[str, Any], model: Any) -> open_clip_tokens.Tokens:
        context_length = _context_length(config)
        cleaning = config.get("tokenizer_kwargs", {}).get("clean")
        repository = config.get("hf_tokenizer_name")
        if not repository:
            if self.tokenizer is not None:
                raise ExportError(f"{self.architecture} has CLIP's own tokenizer: leave --tokenizer out")
            return open_clip_tokens.own(context_length, cleaning)
        padding_id = model.text.config.pad_token_id if _is_hf(model) else None
        if self.tokenizer is not None:
            return open_clip_tokens.of_file(self.tokenizer, context_length, cleaning, padding_id)
        with tempfile.TemporaryDirectory() as scratch:
            folder = open_clip_tokens.download(repository, Path(scratch))
            return open_clip_tokens.of_file(folder, context_length, cleaning, padding_id)

    def _fitting(self, model: Any) -> StateDict:
        """Return the weights under the model's names. Raises ExportError with those that do not fit."""
        state: StateDict = convert_state_dict(model, self.state)
        if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        expected = model.state_dict()
        for name, value in expected.items():
            if name.endswith("num_batches_tracked"):  # a counter of training, which graphs do not have
                state.setdefault(name, value)
        # Old checkpoints, and bundles, contain buffers that the model computes itself.
        for name, _ in model.named_buffers():
            if name not in expected:
                state.pop(name, None)
        if "logit_bias" in expected:  # bundles of before 0.1 do not store it, and no vector depends on it
            state.setdefault("logit_bias", torch.zeros_like(expected["logit_bias"]))
        for name in ("logit_scale", "logit_bias"):
            if name in state and name in expected and state[name].numel() == 1:
                state[name] = state[name].reshape(expected[name].shape)
        kinds = {
            "missing": [name for name in expected if name not in state],
            "unknown to it": [name for name in state if name not in expected],
            "of another shape": [
                f"{name} {list(state[name].shape)} instead of {list(value.shape)}"
                for name, value in expected.items()
                if name in state and state[name].shape != value.shape
            ],
        }
        if wrong := [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names]:
            raise ExportError(
                f"{self.source.name} does not hold the weights of {self.architecture}. Tensors: {'; '.join(wrong)}"
            )
        return state


class TextTower(nn.Module):
    """`encode_text` of open_clip's own text towers (model.py: CLIP, transformer.py: TextTransformer).

    Causal towers that are pooled at the end token take any number of tokens up to the context length. Towers whose
    tokens attend to all take the whole context only.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.clip = model
        text = getattr(model, "text", model)
        self.pool_type = getattr(text, "pool_type", None) or model.text_pool_type
        self.eos_id = getattr(text, "eos_id", None) or model.text_eos_id

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode int64 [batch, length] to float32 [batch, embedding_dim], not normalised."""
        text, length = getattr(self.clip, "text", self.clip), tokens.shape[1]
        x = text.token_embedding(tokens) + text.positional_embedding[:length]
        mask = None if text.attn_mask is None else text.attn_mask[:length, :length]
        x = text.ln_final(text.transformer(x, attn_mask=mask))
        vectors: torch.Tensor = text_global_pool(x, tokens, self.pool_type, eos_token_id=self.eos_id)
        if isinstance(text.text_projection, nn.Linear):
            vectors = text.text_projection(vectors)
        elif text.text_projection is not None:
            vectors = vectors @ text.text_projection
        return vectors


class HFTower(nn.Module):
    """`encode_text` of the towers that open_clip takes from transformers, which mask what pads by themselves."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.clip = nn.ModuleDict({"text": model.text})

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode int64 [batch, length] to float32 [batch, embedding_dim], not normalised."""
        vectors: torch.Tensor = self.clip["text"](tokens)
        return vectors


def _known(architecture: str) -> str:
    name = architecture.replace("/", "-")
    names = {known.lower(): known for known in open_clip.list_models()}
    if name in names.values():
        return name
    near = difflib.get_close_matches(name.lower(), names, n=5, cutoff=0.5)
    raise ExportError(
        f"open_clip has no architecture {architecture}; similar names are {', '.join(names[name] for name in near)}"
        if near
        else f"open_clip has no architecture {architecture}; it has {', '.join(names.values())}"
    )


def _require_supported(architecture: str, config: Mapping[str, Any]) -> None:
    text = config["text_cfg"]
    hf = text.get("hf_model_name")
    reason = None
    if "multimodal_cfg" in config:
        reason = "it is a CoCa, which also generates texts"
    elif hf and not _hf_kind(hf):
        reason = f"its text tower is {hf}; supported ones of transformers are {' and '.join(_HF_KINDS)}"
    elif hf and text.get("hf_pooler_type", "mean_pooler") != "mean_pooler":
        reason = f"its text tower is pooled by {text['hf_pooler_type']}"
    elif text.get("tokenizer_mode") or text.get("tokenizer_kwargs", {}).keys() - {"clean"}:
        reason = "its tokenizer has options that are not supported"
    if reason:
        raise ExportError(f"{architecture} cannot be exported: {reason}")


def _hf_kind(name: str) -> str | None:
    base = name.rsplit("/", 1)[-1]
    return next((kind for kind in _HF_KINDS if base.startswith(kind)), None)


def _is_hf(model: Any) -> bool:
    return isinstance(getattr(model, "text", None), HFTextEncoder)


def _roberta(name: str, checkpoint: str, state: StateDict) -> dict[str, object]:
    """Return the configuration of a RoBERTa for transformers, from the shapes of its weights."""
    root = "text.transformer."
    try:
        words, hidden = state[f"{root}embeddings.word_embeddings.weight"].shape
        return {
            "model_type": _hf_kind(name),
            "vocab_size": words,
            "hidden_size": hidden,
            "num_attention_heads": hidden // _HEAD,
            "num_hidden_layers": len({key.split(".")[4] for key in state if key.startswith(f"{root}encoder.layer.")}),
            "intermediate_size": len(state[f"{root}encoder.layer.0.intermediate.dense.weight"]),
            "max_position_embeddings": len(state[f"{root}embeddings.position_embeddings.weight"]),
            "type_vocab_size": len(state[f"{root}embeddings.token_type_embeddings.weight"]),
            **_ROBERTA,
        }
    except (KeyError, ValueError) as error:
        raise ExportError(f"{checkpoint} does not hold the weights of a text tower like {name}: {error}") from error


def _preprocessing(architecture: str, config: Mapping[str, Any], pretrained: str | None) -> PreprocessCfg:
    """Return the preprocessing of the pictures that the weights were trained on, which open_clip records.

    Raises ExportError if published weights of this architecture differ and `pretrained` names none.
    """
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if pretrained is not None and pretrained not in tags:
        raise ExportError(
            f"open_clip knows no weights {pretrained} of {architecture}; it knows {', '.join(tags) or 'none'}"
        )
    published = {tag: open_clip.get_pretrained_cfg(architecture, tag) for tag in ([pretrained] if pretrained else tags)}
    activation = bool(config.get("quick_gelu"))
    others = [tag for tag, settings in published.items() if bool(settings.get("quick_gelu")) != activation]
    if pretrained and others:
        other = architecture.removesuffix("-quickgelu") if activation else f"{architecture}-quickgelu"
        raise ExportError(f"the weights {pretrained} have another activation: their architecture is {other}")
    if others:
        log.warning(
            "weights of %s can have either activation; it is taken at its name. Those with the other are %s: pass "
            "--pretrained to be sure",
            architecture,
            ", ".join(others),
        )
    ways = {
        tag: PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), settings)) for tag, settings in published.items()
    }
    way, *different = {str(way): way for way in ways.values()}.values() or [PreprocessCfg()]
    if different:
        raise ExportError(
            f"published weights of {architecture} want their pictures prepared in {len(different) + 1} ways: say which "
            f"these are, or were tuned from, with --pretrained, one of {', '.join(tags)}"
        )
    return way


def _image_spec(architecture: str, model: Any, prepared: PreprocessCfg) -> ImageSpec:
    height, width = model.visual.image_size
    if height != width or prepared.resize_mode not in _RESIZE:
        raise ExportError(
            f"{architecture} cannot be exported: it wants pictures of {width} x {height}, {prepared.resize_mode}"
        )
    resize, crop = _RESIZE[prepared.resize_mode]
    return ImageSpec(height, prepared.mean, prepared.std, resize, prepared.interpolation, crop)


def _text_spec(architecture: str, config: Mapping[str, Any], model: Any, tokens: open_clip_tokens.Tokens) -> TextSpec:
    text = getattr(model, "text", model)
    vocabulary = text.transformer.get_input_embeddings() if _is_hf(model) else text.token_embedding
    size = max(tokens.file.get_vocab().values()) + 1
    if size > vocabulary.num_embeddings:
        raise ExportError(
            f"the tokenizer has ids up to {size - 1}, {architecture} has {vocabulary.num_embeddings} tokens: it is the "
            "tokenizer of another model"
        )
    if _is_hf(model):
        padding, mask, pooling = "longest", "padding", "mean"
        expected = ("padding", tokens.padding_id, text.config.pad_token_id)
    else:
        pool_type = getattr(text, "pool_type", None) or model.text_pool_type
        mask, pooling = "none" if text.attn_mask is None else "causal", _POOLING[pool_type]
        # Where no token sees what comes after it, and the end token is what is read, what pads cannot reach the vector.
        padding = "longest" if (mask, pooling) == ("causal", "end-of-text") else "context"
        expected = ("end", tokens.end_id, config.get("eos_id", 2) if pool_type == "eos" else tokens.end_id)
    token, actual, wanted = expected
    if actual != wanted:
        raise ExportError(
            f"expected the {token} token of {architecture}, {wanted}, got {actual}: this is another model's tokenizer"
        )
    return TextSpec(
        context_length=_context_length(config),
        vocabulary_size=vocabulary.num_embeddings,
        start_id=tokens.start_id,
        end_id=tokens.end_id,
        padding_id=tokens.padding_id,
        cleaning=tokens.cleaning,
        padding=padding,
        mask=mask,
        pooling=pooling,
        splitting=tokens.splitting,
    )


def _context_length(config: Mapping[str, Any]) -> int:
    length: int = config.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH)
    return length


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
