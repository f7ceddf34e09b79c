"""JSON with a prompt from programs without a reader, by the names that most of them use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras, prompt_text
from promptsearch.metadata.values import json_object_or_empty

_FIELDS = ("parameters", "generation_data", "UserComment", "comment", "Comment", "Description", "ImageDescription")
_SYNONYMS = {
    "prompt": ("prompt", "positive_prompt", "positivePrompt", "Prompt", "positive"),
    "negative_prompt": ("negative_prompt", "negativePrompt", "negativeprompt", "Negative Prompt", "negative", "uc"),
    "seed": ("seed", "Seed"),
    "steps": ("steps", "Steps", "num_inference_steps", "num_steps"),
    "cfg_scale": ("cfg_scale", "cfgScale", "cfg", "guidance_scale", "CFG scale", "scale"),
    "guidance": ("guidance", "distilled_cfg_scale"),
    "sampler": ("sampler", "sampler_name", "samplerName", "Sampler"),
    "scheduler": ("scheduler", "Schedule type"),
    "model": ("model", "model_name", "modelName", "base_model", "baseModel", "Model", "checkpoint"),
    "model_hash": ("model_hash", "modelHash", "Model hash"),
    "vae": ("vae", "VAE"),
    "clip_skip": ("clip_skip", "clipSkip", "Clip skip"),
    "denoise": ("denoise", "denoising_strength", "denoisingStrength", "strength"),
    "generated_width": ("width", "Width"),
    "generated_height": ("height", "Height"),
    "generator": ("generator", "software", "app"),
}
_ENOUGH = 2  # settings besides the prompt: an object with just a `prompt` may be anything


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the first field that is a JSON object with a prompt and settings; None if there is none."""
    for name in _FIELDS:
        if cells := read_object(json_object_or_empty(fields.get(name))):
            return cells
    return None


def read_object(packed: Mapping[str, Any]) -> Cells | None:
    """Read an object with a prompt and at least _ENOUGH settings, under any of their usual names; else None."""
    cells: Cells = {}
    for ours, synonyms in _SYNONYMS.items():
        value = next((packed[name] for name in synonyms if packed.get(name) not in (None, "")), None)
        cells[ours] = _name(value) if isinstance(value, dict) else value
    if prompt_text(cells["prompt"]) is None or sum(value is not None for value in cells.values()) <= _ENOUGH:
        return None
    return cells | loras(_loras(packed))


def _name(value: Mapping[str, Any]) -> Any:
    names = (value.get(key) for key in ("name", "model_name", "modelFileName", "modelName"))
    return next((name for name in names if isinstance(name, str)), dict(value))


def _loras(packed: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    listed = packed.get("loras") or packed.get("lora") or packed.get("models")
    for lora in listed if isinstance(listed, list) else ():
        if isinstance(lora, str):
            yield lora, None
        elif isinstance(lora, dict) and lora.get("type", "LORA") == "LORA":
            yield _name(lora), lora.get("weight", lora.get("strength"))
