"""JSON with a prompt, of programs that have no reader of their own, by the names that most of them use."""

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
_ENOUGH = 2  # settings beside the prompt: a text with a `prompt` alone may be about anything


def read(fields: Mapping[str, str]) -> Cells | None:
    for name in _FIELDS:
        if cells := read_object(json_object_or_empty(fields.get(name))):
            return cells
    return None


def read_object(found: Mapping[str, Any]) -> Cells | None:
    cells: Cells = {}
    for ours, synonyms in _SYNONYMS.items():
        value = next((found[name] for name in synonyms if found.get(name) not in (None, "")), None)
        cells[ours] = _name(value) if isinstance(value, dict) else value
    if prompt_text(cells["prompt"]) is None or sum(value is not None for value in cells.values()) <= _ENOUGH:
        return None
    return cells | loras(_loras(found))


def _name(value: Mapping[str, Any]) -> Any:
    names = (value.get(key) for key in ("name", "model_name", "modelFileName", "modelName"))
    return next((name for name in names if isinstance(name, str)), dict(value))


def _loras(found: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    listed = found.get("loras") or found.get("lora") or found.get("models")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, str):
            yield one, None
        elif isinstance(one, dict) and one.get("type", "LORA") == "LORA":
            yield _name(one), one.get("weight", one.get("strength"))
