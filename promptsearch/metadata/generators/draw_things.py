"""Draw Things: JSON in XMP's `exif:UserComment`, and a text in A1111's format in its description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras
from promptsearch.metadata.generators.a1111 import with_settings
from promptsearch.metadata.values import json_object_or_empty

_NAMES = {
    "c": "prompt", "uc": "negative_prompt", "seed": "seed", "steps": "steps", "scale": "cfg_scale",
    "guidance": "guidance", "sampler": "sampler", "model": "model", "strength": "denoise", "clip_skip": "clip_skip",
    "upscaler": "hires_upscaler", "shift": "shift", "mask_blur": "mask_blur",
}  # fmt: skip
_SIZE = re.compile(r"(\d+)x(\d+)")
_TEXT_NEGATIVE = re.compile(r"^-(?=\S)", re.MULTILINE)


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the JSON, else the description; None if Draw Things wrote neither."""
    packed = json_object_or_empty(fields.get("xmp.UserComment") or fields.get("UserComment"))
    if "c" in packed and "sampler" in packed:
        return _packed(packed) | {"generator": "Draw Things"}
    if "Draw Things" in fields.get("xmp.CreatorTool", "") and (cells := _described(fields.get("xmp.description", ""))):
        return cells | {"generator": "Draw Things"}
    return None


def _packed(packed: Mapping[str, Any]) -> Cells:
    cells: Cells = {ours: packed.get(theirs) for theirs, ours in _NAMES.items()}
    if size := _SIZE.fullmatch(str(packed.get("size", ""))):
        cells |= {"generated_width": int(size[1]), "generated_height": int(size[2])}
    return cells | loras(_loras(packed.get("lora")))


def _loras(listed: Any) -> Iterator[tuple[Any, Any]]:
    for lora in listed if isinstance(listed, list) else ():
        if isinstance(lora, dict):
            yield lora.get("model") or lora.get("file"), lora.get("weight")


def _described(description: str) -> Cells | None:
    """Read the description, in which a line that begins with a minus is the negative prompt."""
    cells = with_settings(description)
    if cells and not cells["negative_prompt"]:
        prompt, *negative = _TEXT_NEGATIVE.split(cells["prompt"], maxsplit=1)
        cells |= {"prompt": prompt.strip(), "negative_prompt": "".join(negative).strip()}
    return cells
