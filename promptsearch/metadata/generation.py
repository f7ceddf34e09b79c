"""One generation: how a picture was generated, in the same terms for every program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptsearch.metadata.values import number, plain, real, split_settings, text, typed, whole, word

# Untyped values by name: `prompt`, `negative_prompt`, SETTINGS, EXTRA, and any other field that a program writes.
Cells = dict[str, Any]

# Fields that most programs write besides the settings, with the converters of their values.
EXTRA: Mapping[str, Callable[[Any], Any]] = {
    "generator": word,
    "generator_version": word,
    "scheduler": word,
    "guidance": real,  # distilled guidance, as in Flux, which is not a CFG scale
    "model_hash": word,
    "vae": word,
    "clip_skip": whole,
    "denoise": real,
    "hires_upscaler": word,
    "hires_steps": whole,
    "hires_scale": real,
    "generated_width": whole,
    "generated_height": whole,
}
_PROMPTS = ("prompt", "negative_prompt")
RAW = ("parameters", "prompt", "workflow")  # fields whose text is kept verbatim


@dataclass(frozen=True)
class Generation:
    """The metadata of a picture, from the picture itself or a file beside it.

    `settings` are those of SETTINGS, typed. `extra` has EXTRA, `lora` (names) with `lora_weights` (numbers, null if
    unknown), and any other field; values that cannot be typed are there unchanged. `raw` has the fields of RAW that
    this was read from, verbatim.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def described(self) -> Mapping[str, Any]:
        """Return the negative prompt and `extra` in one mapping, as items store them."""
        return {"negative_prompt": self.negative_prompt, **self.extra} if self.negative_prompt else self.extra

    def completed(self, other: Generation) -> Generation:
        """Return a copy whose missing values are taken from `other`, a source of lower precedence."""
        return Generation(
            self.prompt or other.prompt,
            self.negative_prompt or other.negative_prompt,
            {**other.settings, **self.settings},
            {**other.extra, **self.extra},
            {**other.raw, **self.raw},
        )

    def __bool__(self) -> bool:
        return bool(self.prompt or self.negative_prompt or self.settings or self.extra)


def generation(cells: Mapping[str, Any], raw: Mapping[str, str] | None = None) -> Generation:
    """Convert cells to a Generation; a value that is not of its type is kept in `extra` unchanged."""
    prompt, negative = (prompt_text(cells.get(name)) for name in _PROMPTS)
    odd = [name for name in _PROMPTS if not isinstance(cells.get(name), str) and prompt_text(cells.get(name)) is None]
    settings, extra = split_settings(
        {name: value for name, value in cells.items() if name not in _PROMPTS or name in odd}
    )
    for name, kind in EXTRA.items():
        if name in extra:
            extra[name] = _typed(name, extra[name], kind)
    return Generation(prompt, negative, settings, extra, raw or {})


def prompt_text(value: Any) -> str | None:
    """Return a prompt as text, joining a list of texts by line breaks; None for other values and empty texts."""
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        return None
    return text(value.strip()) or None


def loras(named_weights: Iterable[tuple[Any, Any]]) -> Cells:
    """Return the cells `lora` and `lora_weights` for (name, weight) pairs, the first per name."""
    weights: dict[str, Any] = {}
    for name, weight in named_weights:
        if isinstance(name, str) and name.strip() and name.strip().lower() != "none":
            weights.setdefault(name.strip(), _typed("weight", number(weight), real))
    return {"lora": list(weights), "lora_weights": list(weights.values())} if weights else {}


def _typed(name: str, value: Any, kind: Callable[[Any], Any]) -> Any:
    try:
        return typed(name, value, kind) if isinstance(value, str | int | float) else plain(value)
    except ValueError:
        return plain(value)
