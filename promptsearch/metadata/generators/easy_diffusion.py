"""Easy Diffusion: a chunk for each field in PNG; the same as JSON in an EXIF comment or beside the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras
from promptsearch.metadata.values import json_object_or_empty

_NAMES = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "seed": "seed", "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale", "distilled_guidance_scale": "guidance", "sampler_name": "sampler",
    "scheduler_name": "scheduler", "use_stable_diffusion_model": "model", "use_vae_model": "vae",
    "prompt_strength": "denoise", "width": "generated_width", "height": "generated_height",
    "clip_skip": "clip_skip", "use_upscale": "hires_upscaler", "upscale_amount": "hires_scale",
    "use_face_correction": "face_correction", "use_hypernetwork_model": "hypernetwork",
    "original_prompt": "original_prompt",
}  # fmt: skip
_MARKS = frozenset({"num_inference_steps", "guidance_scale", "use_stable_diffusion_model", "sampler_name"})
# What it calls the fields where people read them: in its texts, and in version 2's chunks.
_LABELS = {
    "Prompt": "prompt", "Negative Prompt": "negative_prompt", "Seed": "seed", "Steps": "num_inference_steps",
    "Guidance Scale": "guidance_scale", "Sampler": "sampler_name", "VAE model": "use_vae_model",
    "Stable Diffusion model": "use_stable_diffusion_model", "Stable Diffusion Model": "use_stable_diffusion_model",
    "Width": "width", "Height": "height", "Prompt Strength": "prompt_strength", "LoRA model": "use_lora_model",
}  # fmt: skip
_NONE = (None, "", "None", "none", "null")


def read(fields: Mapping[str, str]) -> Cells | None:
    packed = (json_object_or_empty(fields.get(name)) for name in ("UserComment", "parameters"))
    for found in (fields, *packed):
        if cells := read_object(found):
            return cells
    return None


def read_object(found: Mapping[str, Any]) -> Cells | None:
    found = {_LABELS.get(name, name): value for name, value in found.items()}
    if "prompt" not in found or len(_MARKS & found.keys()) < 2:
        return None
    cells: Cells = {ours: found[theirs] for theirs, ours in _NAMES.items() if found.get(theirs) not in _NONE}
    cells["clip_skip"] = 2 if str(cells.get("clip_skip")) == "True" else None  # it skips the last layer or does not
    return cells | loras(_loras(found)) | {"generator": "Easy Diffusion"}


def _loras(found: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    names, weights = (_list(found.get(name)) for name in ("use_lora_model", "lora_alpha"))
    for place, name in enumerate(names):
        yield name, weights[place] if place < len(weights) else None


def _list(value: Any) -> list[Any]:
    """One, or several: as JSON, or as Python writes a list."""
    if isinstance(value, str):
        return [one.strip().strip("'\"") for one in value.strip("[]").split(",")]
    return value if isinstance(value, list) else [value]
