"""Fooocus: JSON in PNG's `parameters` or an EXIF comment; RuinedFooocus writes much the same."""

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
    for name in ("parameters", "UserComment", "comment", "Comment"):
        found = json_object_or_empty(fields.get(name))
        if found.get("metadata_scheme") == "fooocus" or ("base_model" in found and "performance" in found):
            return _fooocus(found)
        if found.get("software") == "RuinedFooocus" or ("base_model_name" in found and "Prompt" in found):
            return _ruined(found)
    return None


def _fooocus(found: Mapping[str, Any]) -> Cells:
    cells: Cells = {ours: found.get(theirs) for theirs, ours in _NAMES.items() if found.get(theirs) not in _NONE}
    if size := _RESOLUTION.fullmatch(str(found.get("resolution", ""))):
        cells |= {"generated_width": int(size[1]), "generated_height": int(size[2])}
    return cells | loras(_loras(found)) | {"generator": "Fooocus"}


def _ruined(found: Mapping[str, Any]) -> Cells:
    cells: Cells = {ours: found.get(theirs) for theirs, ours in _RUINED.items()}
    return cells | loras(_loras(found)) | {"generator": "RuinedFooocus"}


def _loras(found: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """A list of name, weight and hash; or `lora_combined_1: "name : 0.5"`."""
    listed = found.get("loras")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, list) and len(one) >= 2:
            yield one[0], one[1]
        elif isinstance(one, dict):
            yield one.get("name"), one.get("weight")
    for key, value in found.items():
        if _COMBINED.fullmatch(key) and isinstance(value, str):
            name, _, weight = value.rpartition(":")
            yield name.strip(), weight.strip()
