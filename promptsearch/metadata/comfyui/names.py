"""Classify a node's inputs by name: whether they hold text, which prompt they belong to, what they are linked to.

There are thousands of kinds of nodes, and anyone can write one, but their inputs have similar names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from promptsearch.metadata.comfyui.widgets import RECOGNISED

Role = Literal["positive", "negative"]

_NEGATIVE = re.compile(r"(^|[_. ])neg([_. ]|$)|negative|(^|_)uncond", re.IGNORECASE)
_POSITIVE = re.compile(r"(^|[_. ])pos([_. ]|$)|positive", re.IGNORECASE)
# A word that means text, with an optional number, or the letter of an encoder or a part.
_TEXT = re.compile(
    r"(^|[_. ])(text|prompt|string|str|tags|lyrics|caption|description|instructions?|opt_prompt|append|prepend)"
    r"([_ ]?([a-hl]|[0-9]+|positive|negative|override))?$",
    re.IGNORECASE,
)
# Inputs named after encoders: the best first, for nodes whose encoders get different texts.
ENCODERS = ("t5xxl", "llama", "mt5xl", "qwen25_7b", "qwen", "gemma", "bert", "clip_l", "clip_g", "clip_h")
# Text that is not a prompt: instructions for a language model, templates whose result is another input, options.
_NO_PROMPT = re.compile(
    r"system|template|format|prefix|suffix|path|file|delimiter|separator|regex|find|replace|wildcard_text|select"
    r"|mode$|style$|key$|json",
    re.IGNORECASE,
)
# Inputs that carry something other than a conditioning.
_ELSEWHERE = re.compile(
    r"^(clip|model|unet|vae|control_?net|style_model|gligen_textbox_model|clip_vision.*|.*latents?.*|samples|.*images?\d*"
    r"|.*image_\d+|pixels|masks?|.*_mask|video.*|.*_video|audio.*|.*_audio|noise|sigmas|seed|width|height|bboxes|optional_"
    r"|lora.*|sampler|frames)$",
    re.IGNORECASE,
)
_CONDITIONING = re.compile(r"^(cond|conditioning|guider|basic_pipe|.*pipe.*|.*tuple|text_embeds|embeds)", re.IGNORECASE)


def role_of(name: str) -> Role | None:
    """Return the prompt that an input belongs to by its name; None if it may be either."""
    if _NEGATIVE.search(name):
        return "negative"
    return "positive" if _POSITIVE.search(name) else None


def is_text(name: str, value: object = None) -> bool:
    """Return whether an input of this name holds a prompt's text; `positive` does if its value is text."""
    if name.lower() in ("positive", "negative"):
        return isinstance(value, str)
    return (
        name in ENCODERS
        or name == RECOGNISED
        or bool(_TEXT.search(name) and not _NO_PROMPT.search(name.rpartition(".")[2]))
    )


def is_conditioning(name: str) -> bool:
    """Return whether this input of a sampler leads to a prompt."""
    return role_of(name) is not None or bool(_CONDITIONING.match(name))


def leads_to_text(name: str) -> bool:
    """Return whether a prompt may come through this input of a node between encoder and sampler."""
    return not _ELSEWHERE.match(name)


def for_role(names: Iterable[str], role: Role) -> list[str]:
    """Return the inputs that belong to the role: those that name it, else those that name neither role."""
    listed = list(names)
    named = [name for name in listed if role_of(name) == role]
    if named:
        return named
    return [name for name in listed if role_of(name) is None]
