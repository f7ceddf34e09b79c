"""Random checkpoints of open_clip's architectures, small and full-size, and small tokenizers of the kinds they want."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from builder.export import fidelity
from tests.support.texts import TEXTS

# As in open_clip's own model_configs/, with fewer and narrower layers. A RoBERTa's size is that of its weights.
_VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
_SIGLIP_VISION = {
    "image_size": 160,
    "timm_model_name": "test_vit",
    "timm_model_pretrained": False,
    "timm_pool": "map",
    "timm_proj": "none",
}
TINY = {
    "tiny-ViT": {
        "embed_dim": 32,
        "vision_cfg": _VISION,
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    },
    "tiny-SigLIP": {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": _SIGLIP_VISION,
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 1000,
            "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 64,
            "heads": 2,
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
        },
    },
    "tiny-SigLIP2": {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": _SIGLIP_VISION,
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 1000,
            "hf_tokenizer_name": "timm/ViT-B-16-SigLIP2",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 64,
            "heads": 2,
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
            "act_kwargs": {"approximate": "tanh"},
        },
    },
    "tiny-xlm-roberta": {
        "embed_dim": 32,
        "vision_cfg": _VISION,
        "text_cfg": {
            "hf_model_name": "xlm-roberta-base",
            "hf_tokenizer_name": "xlm-roberta-base",
            "hf_pooler_type": "mean_pooler",
        },
    },
}
# (vocabulary, width, layers) of the text tower
ROBERTA = {"tiny-xlm-roberta": (1000, 128, 2), "xlm-roberta-base-ViT-B-32": (250002, 768, 12)}


def register(folder: Path) -> None:
    """Let open_clip know the architectures of TINY, for as long as this process lives."""
    for name, config in TINY.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


# Random weights of these do not tell pictures apart: the dimensions of the weights that are larger, and how much.
LARGER = {"PE-Core-T-16-384": (2, 12), "MobileCLIP2-S0": (4, 2)}


def random_model(architecture: str, folder: Path) -> nn.Module:
    """Return open_clip's model with seeded weights that differ wherever a trained model's would."""
    changed = {}
    if architecture in ROBERTA:
        words, width, layers = ROBERTA[architecture]
        roberta = {
            "model_type": "xlm-roberta", "vocab_size": words, "hidden_size": width, "num_hidden_layers": layers,
            "num_attention_heads": width // 64, "intermediate_size": 4 * width, "max_position_embeddings": 514,
            "type_vocab_size": 1, "layer_norm_eps": 1e-5, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(roberta))
        text = open_clip.get_model_config(architecture)["text_cfg"]
        changed["text_cfg"] = {**text, "hf_model_name": str(folder), "hf_model_pretrained": False}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model: nn.Module = open_clip.create_model(architecture, load_weights=False, pretrained_text=False, **changed)
        for name, value in model.named_parameters():
            if value.ndim == 1 or "positional" in name or "embeddings" in name or "pos_embed" in name:
                is_scale = value.ndim == 1 and name.endswith("weight")
                value.copy_(0.1 * torch.randn_like(value) + (1.0 if is_scale else 0.0))
        ndim, factor = LARGER.get(architecture, (0, 1))
        for name, value in model.named_parameters():
            if name.startswith("visual") and value.ndim == ndim:
                value.mul_(factor)
    return model.eval().requires_grad_(False)


def save(model: nn.Module, path: Path) -> Path:
    torch.save(model.state_dict(), path)
    return path


def write_tokenizer(kind: str, folder: Path) -> Path:
    """Write a unigram tokenizer of a few hundred pieces as on the hub, of XLM-R's or SigLIP's (T5's) kind."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {"xlm-roberta": ["<s>", "<pad>", "</s>", "<unk>"], "siglip": ["<pad>", "</s>", "<unk>"]}[kind]
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False)
    made.train_from_iterator([*fidelity.TEXTS, *TEXTS, *fidelity.collection()[0]], trainer)
    end = special.index("</s>")
    if kind == "xlm-roberta":
        around = "<s> $A </s>", [("<s>", 0), ("</s>", end)]
        config = {"tokenizer_class": "XLMRobertaTokenizer", "pad_token": "<pad>", "bos_token": "<s>"}
    else:
        around = "$A </s>", [("</s>", end)]
        # As open_clip's SigLipTokenizer has it, the end token pads.
        config = {"tokenizer_class": "T5Tokenizer", "pad_token": "</s>"}
    made.post_processor = processors.TemplateProcessing(single=around[0], special_tokens=around[1])
    made.save(str(folder / "tokenizer.json"))
    described = {**config, "eos_token": "</s>", "unk_token": "<unk>", "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    return folder


def vectors(model: nn.Module, tokens: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        return model.encode_text(tokens), model.encode_image(pixels)  # type: ignore[operator]
