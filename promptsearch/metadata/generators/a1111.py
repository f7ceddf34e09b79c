"""AUTOMATIC1111's text format, which Forge, SD.Next, stable-diffusion.cpp, Civitai and many others share.

    prompt, of several lines
    Negative prompt: of several lines
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: name, Version: v1.10.1

The settings are split off first, so that they never end up in a prompt. Any of the three parts may be missing, or all
may be on one line; extensions append lines after the settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptsearch.metadata.generation import Cells, loras
from promptsearch.metadata.values import number

MAX_CHARACTERS = 2**20
# A key: up to 60 characters of a few words. A value ends before the next one.
_KEY = r"[A-Za-z][\w \-/().+]{0,60}"
_PAIR = re.compile(rf"\s*({_KEY}):\s*")
_NEXT = re.compile(rf",\s*(?={_KEY}:(?:\s|\"|$))|$")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_STEPS_LINE = re.compile(r"^[ \t]*Steps: *\d+(?:\.\d+)?[ \t]*(?:,|$)", re.MULTILINE)
_STEPS_WITHIN = re.compile(r"(?<=[\s.,])Steps: *\d+ *, *(?=[A-Z][\w ]{0,60}:)")
_NEGATIVE_LINE = re.compile(r"^[ \t]*Negative prompt:[ \t]*", re.MULTILINE | re.IGNORECASE)
_NEGATIVE_WITHIN = re.compile(r"Negative prompt:[ \t]*")
_LORA = re.compile(r"<(?:lora|lyco|lycoris):([^:<>]+)(?::([^<>]*))?>", re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d+)\s*[x×]\s*(\d+)\s*")
_KNOWN = {
    "steps": "steps", "sampler": "sampler", "schedule type": "scheduler", "scheduler": "scheduler",
    "cfg scale": "cfg_scale", "guidance scale": "cfg_scale", "distilled cfg scale": "guidance", "guidance": "guidance",
    "seed": "seed", "size": "size", "model": "model", "model hash": "model_hash", "vae": "vae",
    "clip skip": "clip_skip", "denoising strength": "denoise", "strength": "denoise",
    "hires upscaler": "hires_upscaler", "hires steps": "hires_steps", "hires upscale": "hires_scale",
    "version": "generator_version", "created date": "created",
}  # fmt: skip
_ENOUGH = 3  # known keys that make a line without `Steps` the settings
_NUMBERS = frozenset({"True", "False", "None"})


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read `parameters`, or an EXIF comment of that form; None without settings, for such a text may be anything."""
    for name in ("parameters", "UserComment", "comment", "ImageDescription"):
        if cells := with_settings(fields.get(name, "")):
            return cells
    return None


def with_settings(parameters: str) -> Cells | None:
    """Read the text if it has settings; None if it has none, or is JSON."""
    if not parameters or parameters.lstrip().startswith("{"):
        return None
    cells = read_text(parameters)
    return cells if "generator" in cells else None


def read_text(parameters: str) -> Cells:
    """Read a prompt, with the two other parts if present; `generator` is among the cells only if there are settings."""
    content = parameters[:MAX_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n")
    start = _settings_start(content)
    prompt, negative = _prompts(content[:start])
    cells: Cells = {}
    if start < len(content):
        line, _, rest = content[start:].partition("\n")
        cells = _settings(line)
        for key, value in _extension_lines(rest):
            cells.setdefault(key, value)
        cells.setdefault("vae", _vae(cells))
        cells["generator"] = _generator(cells)
    cells |= loras(_LORA.findall(prompt)) or loras(_listed_loras(cells))
    return cells | {"prompt": prompt, "negative_prompt": negative}


def _settings_start(content: str) -> int:
    """Return where the settings start: at the last line that looks like them, else within a line; else at the end."""
    for pattern in (_STEPS_LINE, _STEPS_WITHIN):
        starts = [match.start() for match in pattern.finditer(content)]
        if starts:
            return starts[-1]
    start = content.rfind("\n", 0, len(content.rstrip())) + 1
    keys = {key.lower() for key, _ in _pairs(content[start:])}
    return start if len(keys & _KNOWN.keys()) >= _ENOUGH else len(content)


def _prompts(content: str) -> tuple[str, str]:
    """Return the prompt and the negative prompt; parts of a negative prompt that is split in two are joined."""
    for pattern in (_NEGATIVE_LINE, _NEGATIVE_WITHIN):
        if match := pattern.search(content):
            negative = pattern.sub("", content[match.end() :])
            return content[: match.start()].strip(), negative.strip()
    return content.strip(), ""


def _settings(line: str) -> Cells:
    cells: Cells = {}
    for key, value in _pairs(line):
        name = _KNOWN.get(key.lower(), _snake(key))
        size = _SIZE.fullmatch(value) if name == "size" and isinstance(value, str) else None
        if size:
            cells |= {"generated_width": int(size[1]), "generated_height": int(size[2])}
        elif name:
            cells.setdefault(name, value)
    return cells


def _pairs(line: str) -> Iterator[tuple[str, Any]]:
    """Yield each `Key: value`. Values that are quoted or JSON may contain commas and colons."""
    place = 0
    while match := _PAIR.match(line, place):
        value, place = _value(line, match.end())
        yield match[1].strip(), value
        following = _NEXT.search(line, place)
        place = following.end() if following else len(line)


def _value(line: str, start: int) -> tuple[Any, int]:
    """Return the value at `start`, and the position of its end."""
    if (quoted := _QUOTED.match(line, start)) and _NEXT.match(line, quoted.end()):
        try:
            return json.loads(quoted[0]), quoted.end()
        except ValueError:
            return quoted[0][1:-1], quoted.end()
    if line[start : start + 1] in ("[", "{"):
        try:
            return json.JSONDecoder().raw_decode(line, start)
        except (ValueError, RecursionError):
            pass
    following = _NEXT.search(line, start)
    end = following.start() if following else len(line)
    value = line[start:end].strip().rstrip(",")
    return number(value) if value not in _NUMBERS else value, end


def _extension_lines(content: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values that extensions append after the settings, one a line: `Template: …`."""
    for line in content.splitlines():
        if match := _PAIR.match(line):
            yield _snake(match[1]), line[match.end() :].strip()


def _snake(key: str) -> str:
    return re.sub(r"\W+", "_", key.strip().lower()).strip("_")


def _listed_loras(cells: Cells) -> Iterator[tuple[Any, Any]]:
    """Yield LoRAs that only the settings name: `Lora hashes: "ink: 1234"`, or Civitai's resources."""
    hashes, resources = cells.get("lora_hashes"), cells.get("civitai_resources")
    for pair in hashes.split(",") if isinstance(hashes, str) else ():
        yield pair.partition(":")[0], None
    for resource in resources if isinstance(resources, list) else ():
        if isinstance(resource, dict) and resource.get("type") in ("lora", "lycoris", "dora"):
            yield resource.get("modelName"), resource.get("weight")


def _vae(cells: Cells) -> Any:
    """Return the VAE among Forge's modules, which are text encoders and the VAE: `Module 1: ae`."""
    modules = [str(value) for name, value in cells.items() if name.startswith("module_")]
    return next((module for module in modules if re.search(r"(^|[\W_])ae$|vae", module, re.IGNORECASE)), None)


def _generator(cells: Cells) -> str:
    """Return which program of those that share the format wrote it."""
    version, app = str(cells.get("generator_version", "")), str(cells.get("app", ""))
    if app:
        return app
    if "stable-diffusion.cpp" in version:
        return "stable-diffusion.cpp"
    if version.startswith(("f", "neo", "classic")):
        return "Forge"
    return "ComfyUI" if version.startswith("ComfyUI") else "AUTOMATIC1111"
