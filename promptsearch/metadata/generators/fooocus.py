"""Fooocus: JSON in PNG's `parameters` or an EXIF comment; RuinedFooocus uses a similar format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras
from promptsearch.metadata.values import json_object_or_empty

_NAMES = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "seed": "seed", "steps": "steps",
    "guidance_scale": "cfg_scale", "sampler": "sampler", "scheduler": "scheduler", "base_model": "model",
    "base_model_hash": "model_hash", "vae": "vae", "clip_skip": "clip_skip", "version": "generator_version",
    "refiner_model": "refiner_model", "styles": "styles", "performance": "performance", "sharpness": "sharpness",
    "adm_guidance": "adm_guidance", "prompt_expansion": "prompt_expansion",
}  # fmt: skip
_RUINED = {
    "Prompt": "prompt", "Negative": "negative_prompt", "seed": "seed", "steps": "steps", "cfg": "cfg_scale",
    "sampler_name": "sampler", "scheduler": "scheduler", "base_model_name": "model", "base_model_hash": "model_hash",
    "denoise": "denoise", "clip_skip": "clip_skip", "width": "generated_width", "height": "generated_height",
}  # fmt: skip
_RESOLUTION = re.compile(r"\(?\s*(\d+)\s*[,x]\s*(\d+)\s*\)?")
_NONE = ("None", "Default (model)")
_COMBINED = re.compile(r"lora_combined_\d+")


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the first field with Fooocus's or RuinedFooocus's JSON; None if there is none."""
    for name in ("parameters", "UserComment", "comment", "Comment"):
        packed = json_object_or_empty(fields.get(name))
        if packed.get("metadata_scheme") == "fooocus" or ("base_model" in packed and "performance" in packed):
            return _fooocus(packed)
        if packed.get("software") == "RuinedFooocus" or ("base_model_name" in packed and "Prompt" in packed):
            return _ruined(packed)
    return None


def _fooocus(packed: Mapping[str, Any]) -> Cells:
    cells: Cells = {ours: packed.get(theirs) for theirs, ours in _NAMES.items() if packed.get(theirs) not in _NONE}
    if size := _RESOLUTION.fullmatch(str(packed.get("resolution", ""))):
        cells |= {"generated_width": int(size[1]), "generated_height": int(size[2])}
    return cells | loras(_loras(packed)) | {"generator": "Fooocus"}


def _ruined(packed: Mapping[str, Any]) -> Cells:
    cells: Cells = {ours: packed.get(theirs) for theirs, ours in _RUINED.items()}
    return cells | loras(_loras(packed)) | {"generator": "RuinedFooocus"}


def _loras(packed: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield (name, weight) from a list of name, weight and hash, and from `lora_combined_1: "name : 0.5"`."""
    listed = packed.get("loras")
    for lora in listed if isinstance(listed, list) else ():
        if isinstance(lora, list) and len(lora) >= 2:
            yield lora[0], lora[1]
        elif isinstance(lora, dict):
            yield lora.get("name"), lora.get("weight")
    for key, value in packed.items():
        if _COMBINED.fullmatch(key) and isinstance(value, str):
            name, _, weight = value.rpartition(":")
            yield name.strip(), weight.strip()
