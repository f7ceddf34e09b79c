"""One generation: how a picture was made, in the same words whatever program made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptsearch.metadata.values import number, plain, real, text, told, typed, whole, word

# What is known before it is typed: `prompt`, `negative_prompt`, SETTINGS, EXTRA, and whatever else a program writes.
Cells = dict[str, Any]

# The names of what most programs write besides the settings, and what their values are.
EXTRA: Mapping[str, Callable[[Any], Any]] = {
    "generator": word,
    "generator_version": word,
    "scheduler": word,
    "guidance": real,  # distilled guidance, as of Flux, which is no cfg scale
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
RAW = ("parameters", "prompt", "workflow")  # the texts that are kept as they stood


@dataclass(frozen=True)
class Generation:
    """What a picture, or a text beside it, says of its making.

    `settings` are those of SETTINGS, typed. `extra` has EXTRA, `lora` (names) with `lora_weights` (numbers, null if
    unknown), and whatever else the program wrote; odd values of either stand there as they were. `raw` are the texts
    of RAW that it was read from.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def described(self) -> Mapping[str, Any]:
        """The negative prompt and `extra` in one, as items keep them."""
        return {"negative_prompt": self.negative_prompt, **self.extra} if self.negative_prompt else self.extra

    def completed(self, other: Generation) -> Generation:
        """This one, with what it lacks from another that is further from the picture."""
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
    """Type the cells. A value that is not what its name says stays in `extra` as it stood."""
    prompt, negative = (prompt_text(cells.get(name)) for name in _PROMPTS)
    odd = [name for name in _PROMPTS if not isinstance(cells.get(name), str) and prompt_text(cells.get(name)) is None]
    settings, extra = told({name: value for name, value in cells.items() if name not in _PROMPTS or name in odd})
    for name, kind in EXTRA.items():
        if name in extra:
            extra[name] = _typed(name, extra[name], kind)
    return Generation(prompt, negative, settings, extra, raw or {})


def prompt_text(value: Any) -> str | None:
    """A prompt as text. A list of texts is joined; what is no text is no prompt."""
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        return None
    return text(value.strip()) or None


def loras(found: Iterable[tuple[Any, Any]]) -> Cells:
    """Names and weights as cells; the first of each name."""
    weights: dict[str, Any] = {}
    for name, weight in found:
        if isinstance(name, str) and name.strip() and name.strip().lower() != "none":
            weights.setdefault(name.strip(), _typed("weight", number(weight), real))
    return {"lora": list(weights), "lora_weights": list(weights.values())} if weights else {}


def _typed(name: str, value: Any, kind: Callable[[Any], Any]) -> Any:
    try:
        return typed(name, value, kind) if isinstance(value, str | int | float) else plain(value)
    except ValueError:
        return plain(value)
