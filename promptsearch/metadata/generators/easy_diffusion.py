"""Easy Diffusion: a chunk for each field in PNG; else JSON in an EXIF comment or beside the picture."""

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
# Labels of the fields in its text files, and in version 2's chunks.
_LABELS = {
    "Prompt": "prompt", "Negative Prompt": "negative_prompt", "Seed": "seed", "Steps": "num_inference_steps",
    "Guidance Scale": "guidance_scale", "Sampler": "sampler_name", "VAE model": "use_vae_model",
    "Stable Diffusion model": "use_stable_diffusion_model", "Stable Diffusion Model": "use_stable_diffusion_model",
    "Width": "width", "Height": "height", "Prompt Strength": "prompt_strength", "LoRA model": "use_lora_model",
}  # fmt: skip
_NONE = (None, "", "None", "none", "null")


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the chunks, else the JSON of `UserComment` or `parameters`; None if Easy Diffusion wrote neither."""
    packed = (json_object_or_empty(fields.get(name)) for name in ("UserComment", "parameters"))
    for candidate in (fields, *packed):
        if cells := read_object(candidate):
            return cells
    return None


def read_object(packed: Mapping[str, Any]) -> Cells | None:
    """Read an object by Easy Diffusion's names or labels; None without a prompt and two of its typical fields."""
    packed = {_LABELS.get(name, name): value for name, value in packed.items()}
    if "prompt" not in packed or len(_MARKS & packed.keys()) < 2:
        return None
    cells: Cells = {ours: packed[theirs] for theirs, ours in _NAMES.items() if packed.get(theirs) not in _NONE}
    cells["clip_skip"] = 2 if str(cells.get("clip_skip")) == "True" else None  # a boolean there
    return cells | loras(_loras(packed)) | {"generator": "Easy Diffusion"}


def _loras(packed: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    names, weights = (_list(packed.get(name)) for name in ("use_lora_model", "lora_alpha"))
    for place, name in enumerate(names):
        yield name, weights[place] if place < len(weights) else None


def _list(value: Any) -> list[Any]:
    """Return a value as a list: from a list, from Python's notation of one, or from a single value."""
    if isinstance(value, str):
        return [part.strip().strip("'\"") for part in value.strip("[]").split(",")]
    return value if isinstance(value, list) else [value]
