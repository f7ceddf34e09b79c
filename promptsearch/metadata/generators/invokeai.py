"""InvokeAI: `invokeai_metadata` since version 3, `sd-metadata` in version 2, `Dream` (a command line) before."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras, prompt_text
from promptsearch.metadata.values import json_object_or_empty

_NAMES = {
    "positive_prompt": "prompt", "negative_prompt": "negative_prompt", "seed": "seed", "steps": "steps",
    "cfg_scale": "cfg_scale", "guidance": "guidance", "scheduler": "sampler", "clip_skip": "clip_skip",
    "strength": "denoise", "width": "generated_width", "height": "generated_height",
    "generation_mode": "generation_mode", "app_version": "generator_version", "cfg_rescale_multiplier": "cfg_rescale",
    "positive_style_prompt": "style_prompt", "negative_style_prompt": "negative_style_prompt",
}  # fmt: skip
_OLD_NAMES = {
    "steps": "steps", "cfg_scale": "cfg_scale", "seed": "seed", "sampler": "sampler", "strength": "denoise",
    "width": "generated_width", "height": "generated_height",
}  # fmt: skip
_DREAM = {
    "-s": "steps", "-S": "seed", "-W": "generated_width", "-H": "generated_height", "-C": "cfg_scale", "-A": "sampler",
    "-f": "denoise",
}  # fmt: skip
# In versions 1 and 2 the negative prompt is part of the prompt, in square brackets.
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the newest of the three formats that is present; None if there is none."""
    if metadata := json_object_or_empty(fields.get("invokeai_metadata")):
        cells = _new(metadata)
    elif metadata := json_object_or_empty(fields.get("sd-metadata")):
        cells = _old(metadata)
    elif dream := fields.get("Dream") or fields.get("dream"):
        cells = _dream(dream)
    else:
        return None
    return cells | {"generator": "InvokeAI"}


def _new(metadata: Mapping[str, Any]) -> Cells:
    cells: Cells = {ours: metadata.get(theirs) for theirs, ours in _NAMES.items()}
    model = metadata.get("model")
    cells["model"] = _name(model)
    cells["model_hash"] = model.get("hash") or model.get("model_hash") if isinstance(model, dict) else None
    cells["vae"] = _name(metadata.get("vae"))
    if metadata.get("hrf_enabled"):
        cells["hires_upscaler"] = metadata.get("hrf_method")
        cells["hires_denoise"] = metadata.get("hrf_strength")
    return cells | loras(_loras(metadata.get("loras")))


def _name(model: Any) -> Any:
    """Return the name of a model: its `name` since version 4, its `model_name` in version 3."""
    return model.get("name") or model.get("model_name") if isinstance(model, dict) else model


def _loras(listed: Any) -> Iterator[tuple[Any, Any]]:
    for lora in listed if isinstance(listed, list) else ():
        if isinstance(lora, dict):
            yield _name(lora.get("model") or lora.get("lora")), lora.get("weight")


def _old(metadata: Mapping[str, Any]) -> Cells:
    image = metadata.get("image")
    image = image if isinstance(image, dict) else {}
    cells: Cells = {ours: image.get(theirs) for theirs, ours in _OLD_NAMES.items()}
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = [part.get("prompt") for part in prompt if isinstance(part, dict)]
    cells |= _split(prompt_text(prompt) or "")
    return cells | {
        "model": metadata.get("model_weights"),
        "model_hash": metadata.get("model_hash"),
        "generator_version": metadata.get("app_version"),
    }


def _dream(command: str) -> Cells:
    try:
        words = shlex.split(command[:100_000])
    except ValueError:
        words = command[:100_000].split()
    if not words:
        return {}
    cells: Cells = {}
    prompt: list[str] = []
    names = iter(words)
    for word in names:
        flag, attached = (word[:2], word[2:]) if word[:2] in _DREAM else ("", "")
        if flag:
            cells[_DREAM[flag]] = attached or next(names, None)
        elif not word.startswith("-") and not cells:
            prompt.append(word)
    return cells | _split(" ".join(prompt))


def _split(prompt: str) -> Cells:
    return {
        "prompt": re.sub(r"\s{2,}", " ", _NEGATIVE.sub("", prompt)).strip(),
        "negative_prompt": ", ".join(part.strip() for part in _NEGATIVE.findall(prompt) if part.strip()),
    }
