"""NovelAI: `Comment` is JSON with the settings, `Description` the prompt, `Source` the model and its hash.

Since version 4 a picture can have a prompt for each character. These are appended to the prompt, separated by ` | `, as
in NovelAI's own text format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, prompt_text
from promptsearch.metadata.values import json_object_or_empty

_NAMES = {
    "seed": "seed", "steps": "steps", "scale": "cfg_scale", "sampler": "sampler", "noise_schedule": "scheduler",
    "strength": "denoise", "width": "generated_width", "height": "generated_height", "cfg_rescale": "cfg_rescale",
    "uncond_scale": "uncond_scale", "request_type": "request_type",
}  # fmt: skip
_SEPARATOR = " | "


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the fields, or the JSON object that holds them; None if NovelAI did not write them."""
    # In WebP, and hidden in pixels, one JSON object holds the fields.
    packed = json_object_or_empty(fields.get("UserComment") or fields.get("parameters") or fields.get("comment"))
    if "Comment" in packed:
        fields = {**fields, **{name: value for name, value in packed.items() if isinstance(value, str)}}
        comment = json_object_or_empty(packed["Comment"])
    else:
        comment = json_object_or_empty(fields.get("Comment"))
    software = fields.get("Software", "")
    if not software.startswith("NovelAI") and not ("prompt" in comment and "uc" in comment):
        return None
    cells: Cells = {ours: comment.get(theirs) for theirs, ours in _NAMES.items()}
    prompt = prompt_text(comment.get("prompt")) or prompt_text(fields.get("Description"))
    cells["prompt"] = _with_characters(prompt, comment.get("v4_prompt"))
    cells["negative_prompt"] = _with_characters(prompt_text(comment.get("uc")), comment.get("v4_negative_prompt"))
    model, _, model_hash = fields.get("Source", "").rpartition(" ")
    return cells | {"model": model, "model_hash": model_hash, "generator": "NovelAI"}


def _with_characters(base: str | None, structured: Any) -> str | None:
    caption = structured.get("caption") if isinstance(structured, dict) else None
    if not isinstance(caption, dict):
        return base
    parts = [prompt_text(caption.get("base_caption")) or base or "", *_characters(caption.get("char_captions"))]
    return _SEPARATOR.join(part for part in parts if part) or None


def _characters(captions: Any) -> Iterator[str]:
    for caption in captions if isinstance(captions, list) else ():
        if isinstance(caption, dict) and (prompt := prompt_text(caption.get("char_caption"))):
            yield prompt
