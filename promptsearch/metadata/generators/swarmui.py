"""SwarmUI: JSON with `sui_image_params`, in PNG's `parameters`, an EXIF comment, or a file beside the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras
from promptsearch.metadata.values import json_object_or_empty, number

_NAMES = {
    "prompt": "prompt", "negativeprompt": "negative_prompt", "seed": "seed", "steps": "steps", "cfgscale": "cfg_scale",
    "fluxguidancescale": "guidance", "sampler": "sampler", "scheduler": "scheduler", "model": "model", "vae": "vae",
    "initimagecreativity": "denoise", "width": "generated_width", "height": "generated_height",
    "refinerupscalemethod": "hires_upscaler", "refinerupscale": "hires_scale", "refinersteps": "hires_steps",
    "refinercontrolpercentage": "hires_denoise", "refinermodel": "refiner_model", "swarm_version": "generator_version",
    "aspectratio": "aspect_ratio", "variationseed": "variation_seed", "date": "created",
}  # fmt: skip


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the first field with SwarmUI's JSON; None if there is none."""
    for name in ("parameters", "UserComment", "comment"):
        if cells := read_object(json_object_or_empty(fields.get(name))):
            return cells
    return None


def read_object(packed: Mapping[str, Any]) -> Cells | None:
    """Read an object with `sui_image_params`; None if it has none."""
    parameters = packed.get("sui_image_params")
    if not isinstance(parameters, dict):
        return None
    more = packed.get("sui_extra_data")
    more = more if isinstance(more, dict) else {}
    cells: Cells = {ours: parameters.get(theirs) for theirs, ours in _NAMES.items()}
    cells["created"] = cells["created"] or more.get("date")
    cells["clip_skip"] = _clip_skip(parameters.get("clipstopatlayer"))
    cells["model_hash"] = _model_hash(packed.get("sui_models"))
    for name in ("original_prompt", "original_negativeprompt"):
        cells[name] = more.get(name)
    return cells | loras(_loras(parameters)) | {"generator": "SwarmUI"}


def _loras(parameters: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    names, weights = (_list(parameters.get(name)) for name in ("loras", "loraweights"))
    for place, name in enumerate(names):
        yield name, weights[place] if place < len(weights) else None


def _list(value: Any) -> list[Any]:
    """Return a list as it is, and split the comma-separated text of older versions; empty for other values."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value if isinstance(value, list) else []


def _clip_skip(layer: Any) -> Any:
    layer = number(layer)
    return -layer if isinstance(layer, int) else layer


def _model_hash(models: Any) -> Any:
    for model in models if isinstance(models, list) else ():
        if isinstance(model, dict) and model.get("param") == "model":
            return model.get("hash")
    return None
