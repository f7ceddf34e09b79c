"""Name the values of a node's widgets.

The editor's workflow has them as a list, and only the node's code knows their names. Newer workflows name some; the
table below has the names for nodes of samplers, models, texts and numbers; of other nodes, texts and seeds are
recognised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Values that the editor inserts after each seed, and that the node itself lacks.
_CONTROLS = frozenset({"fixed", "randomize", "increment", "decrement", "randomize each run", "fixed random"})
_SEEDS = ("seed", "noise_seed", "value", "rand_seed")
RECOGNISED = "recognised_text"  # the name of a text whose real name is unknown
_PROSE = re.compile(r"[^\W\d_]{2,}[,.]?\s+[^\W\d_]|[^\x00-\x7f]{2,}")  # words, or letters of other scripts
# Names of models: capitalised words and numbers.
_NAME = re.compile(r"(?:[(]?[A-Z0-9][\w.\-]*[)]?,?\s*){1,8}")
# Files, and system prompts of language models.
_OTHER = re.compile(r"[^\n]+\.(safetensors|ckpt|pth?|gguf|bin|png|jpe?g|webp|mp4|wav|mp3|glb)\b|You are |#version")

_SAMPLER = ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")
_ADVANCED = (
    "add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step",
    "return_with_leftover_noise",
)  # fmt: skip
WIDGETS: Mapping[str, Sequence[str]] = {
    # samplers, and the parts of custom ones
    "KSampler": _SAMPLER,
    "KSampler (Efficient)": _SAMPLER,
    "KSamplerAdvanced": _ADVANCED,
    "KSampler Adv. (Efficient)": _ADVANCED,
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "KSamplerSelect": ("sampler_name",),
    "RandomNoise": ("noise_seed",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "BetaSamplingScheduler": ("steps", "alpha", "beta"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "ExponentialScheduler": ("steps", "sigma_max", "sigma_min"),
    "SDTurboScheduler": ("steps", "denoise"),
    "AlignYourStepsScheduler": ("model_type", "steps", "denoise"),
    "GITSScheduler": ("coeff", "steps", "denoise"),
    "OptimalStepsScheduler": ("model_type", "steps", "denoise"),
    "LTXVScheduler": ("steps", "max_shift", "base_shift", "stretch", "terminal"),
    "Flux2Scheduler": ("steps", "width", "height"),
    "ManualSigmas": ("sigmas",),
    "SplitSigmas": ("step",),
    "CFGGuider": ("cfg",),
    "DualCFGGuider": ("cfg_conds", "cfg_cond2_negative", "style"),
    "PerpNegGuider": ("cfg", "neg_scale"),
    "FluxGuidance": ("guidance",),
    "FaceDetailer": ("guide_size", "guide_size_for", "max_size", *_SAMPLER),
    "UltimateSDUpscale": ("upscale_by", *_SAMPLER),
    # models
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "ImageOnlyCheckpointLoader": ("ckpt_name",),
    "unCLIPCheckpointLoader": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UnetLoaderGGUF": ("unet_name",),
    "DiffusersLoader": ("model_path",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "HypernetworkLoader": ("hypernetwork_name", "strength"),
    "VAELoader": ("vae_name",),
    "CLIPLoader": ("clip_name", "type", "device"),
    "DualCLIPLoader": ("clip_name1", "clip_name2", "type", "device"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "UpscaleModelLoader": ("model_name",),
    "ModelSamplingSD3": ("shift",),
    "ModelSamplingAuraFlow": ("shift",),
    "ModelSamplingFlux": ("max_shift", "base_shift", "width", "height"),
    # latents
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "EmptyFlux2LatentImage": ("width", "height", "batch_size"),
    "EmptyChromaRadianceLatentImage": ("width", "height", "batch_size"),
    "EmptyHunyuanLatentVideo": ("width", "height", "length", "batch_size"),
    "EmptyLTXVLatentVideo": ("width", "height", "length", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    # encoders
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        "width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l",
    ),
    "CLIPTextEncodeSDXLRefiner": ("ascore", "width", "height", "text"),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSD3": ("clip_l", "clip_g", "t5xxl", "empty_padding"),
    "CLIPTextEncodeHunyuanDiT": ("bert", "mt5xl"),
    "CLIPTextEncodeHiDream": ("clip_l", "clip_g", "t5xxl", "llama"),
    "CLIPTextEncodeLumina2": ("system_prompt", "user_prompt"),
    "CLIPTextEncodePixArtAlpha": ("width", "height", "text"),
    "CLIPTextEncodeKandinsky5": ("clip_l", "qwen25_7b"),
    "TextEncodeQwenImageEdit": ("prompt",),
    "TextEncodeQwenImageEditPlus": ("prompt",),
    "TextEncodeHunyuanVideo_ImageToVideo": ("prompt", "image_interleave"),
    "TextEncodeAceStepAudio": ("tags", "lyrics", "lyrics_strength"),
    "TextEncodeAceStepAudio1.5": ("tags", "lyrics"),
    "GLIGENTextBoxApply": ("text", "width", "height", "x", "y"),
    # texts
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
    "StringFormat": ("f_string",),
    "StringReplace": ("string", "find", "replace"),
    "StringTrim": ("string", "mode"),
    "RegexReplace": ("string", "regex_pattern", "replace"),
    "RegexExtract": ("string", "regex_pattern", "mode"),
    "JsonExtractString": ("json_string", "key"),
    "TextGenerate": ("prompt", "max_length"),
    "TextGenerateLTX2Prompt": ("prompt", "max_length"),
    "PreviewAny": (),
    "ImpactWildcardProcessor": ("wildcard_text", "populated_text", "mode", "seed"),
    "ImpactWildcardEncode": ("wildcard_text", "populated_text", "mode"),
    # numbers and switches
    "PrimitiveNode": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveBoolean": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "ComfySwitchNode": ("switch",),
    "CustomCombo": ("choice", "index"),
    "SeedNode": ("seed",),
    # outputs, whose first text is a file name
    "SaveImage": ("filename_prefix",),
    # options that look like prose
    "ResizeImageMaskNode": ("resize_type",),
    "ComfyMathExpression": ("expression",),
    "ElevenLabsVoiceSelector": ("voice",),
    "TopazVideoEnhanceV2": ("upscaler_model",),
    "HitPawVideoEnhance": ("model",),
    "PreviewImage": (),
    "LoadImage": ("image", "upload"),
}  # fmt: skip


def named_widgets(kind: str, values: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the widgets' values by name. `names` are those in the workflow, in order, possibly incomplete."""
    if isinstance(values, dict):
        return {str(name): value for name, value in values.items()}
    if not isinstance(values, list) or not values:
        return {}
    for known in (names, WIDGETS.get(kind)):
        if known is not None and (known is not names or _fits(names, values)):
            return _zipped(known, values)
    return _recognised(values)


def _fits(names: Sequence[str], values: Sequence[Any]) -> bool:
    """Return whether there is a name for every value, not counting those that the editor inserts after seeds."""
    controls = sum(isinstance(value, str) and value in _CONTROLS for value in values)
    return len(names) in (len(values), len(values) - controls)


def _zipped(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    place = 0
    for name in names:
        if place >= len(values):
            break
        named[name] = values[place]
        place += 1
        if name in _SEEDS and place < len(values) and isinstance(values[place], str) and values[place] in _CONTROLS:
            place += 1
    return named


def _recognised(values: Sequence[Any]) -> dict[str, Any]:
    """Return the recognisable values of an unknown node: its first prose text, and the seed before a seed control."""
    named: dict[str, Any] = {}
    for place, value in enumerate(values):
        if not isinstance(value, str):
            continue
        if value in _CONTROLS and place and isinstance(values[place - 1], int):
            named.setdefault("seed", values[place - 1])
        elif _PROSE.search(value) and not _NAME.fullmatch(value) and not _OTHER.match(value):
            named.setdefault(RECOGNISED, value)
    return named
