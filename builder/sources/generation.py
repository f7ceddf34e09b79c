"""What a picture says of its own making: the metadata that image generators write into their files.

sd-parsers knows what AUTOMATIC1111 and Forge, ComfyUI, InvokeAI, NovelAI and Fooocus write. The fields are found here,
though, and handed to its parsers: its own reader recognises a picture by its place in memory, which the next picture
may have, too, and it doesn't look where ComfyUI and Fooocus write in JPEG and WebP files.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from sd_parsers.data import PromptInfo
from sd_parsers.parsers import MANAGED_PARSERS, AUTOMATIC1111Parser, Parser

from promptsearch.encoding.image_io import FORMATS, MAX_PIXELS
from promptsearch.metadata.values import text, told

_PARSERS: list[Parser] = [parser() for parser in MANAGED_PARSERS]  # type: ignore[abstract]
_A1111 = AUTOMATIC1111Parser()
_COMMENT_ENCODINGS = {b"UNICODE\0": "utf-16-be", b"ASCII\0\0\0": "utf-8", b"\0" * 8: "utf-8"}  # Exif 2.32, 4.6.5
# PNG 1.2, 3.1 and 3.2: a signature, then chunks of length, kind, content and checksum.
_PNG_SIGNATURE, _CHUNK_HEAD, _CRC_BYTES = b"\x89PNG\r\n\x1a\n", struct.Struct(">I4s"), 4
_TELLING_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
# ComfyUI's graph of the nodes that a SamplerCustomAdvanced draws its settings from, by the input that leads there.
_CUSTOM_SAMPLER = ("noise", "guider", "sampler", "sigmas")
# Inputs of ComfyUI's nodes that sd-parsers doesn't know, by those that mean the same and that it does.
_COMFYUI_NAMES = {"text": ("text_g", "t5xxl", "clip_l"), "ckpt_name": ("unet_name",)}


@dataclass(frozen=True)
class Generation:
    prompt: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # as Item has them
    extra: Mapping[str, Any] = field(default_factory=dict)  # negative_prompt, generator, scheduler, model_hash


def read_generation(path: Path) -> Generation | None:
    """What the file's metadata tells; None where it tells nothing, or is no picture, or is damaged."""
    try:
        fields = _fields(path)
    except Exception:  # Pillow raises whatever the damage leads to, and the decoder will tell of it
        return None
    for parser in _PARSERS:
        if generation := _parsed(parser, fields):
            return generation
    # Without settings the text that AUTOMATIC1111 writes is the prompt alone; a comment may be about anything.
    parameters = fields.get("parameters", "")
    is_prompt = parameters and not parameters.startswith("{") and parameters != fields.get("UserComment")
    return from_text(parameters) if is_prompt else None


def from_text(parameters: str) -> Generation:
    """A prompt as text, perhaps followed by AUTOMATIC1111's `Negative prompt:` and `Steps: …` lines."""
    if generation := _parsed(_A1111, {"parameters": parameters}):
        return generation
    prompt, _, negative = parameters.partition("Negative prompt:")
    extra = {"negative_prompt": text(negative.strip())} if negative.strip() else {}
    return Generation(text(prompt.strip()) or None, {}, extra)


def _fields(path: Path) -> dict[str, str]:
    with Image.open(path, formats=FORMATS) as picture:
        small = picture.width * picture.height <= MAX_PIXELS
        if small and picture.format == "PNG" and _tells_behind_pixels(path):
            picture.load()  # Pillow reads what stands there when it has decoded the pixels
        fields = _texts(picture)
        # Not the PNG format's own method, which decodes the pixels of every picture without Exif to look behind them.
        fields |= _exif_fields(Image.Image.getexif(picture))
    comment = _object(fields.get("UserComment", ""))
    fields |= {name: value for name, value in comment.items() if isinstance(value, str)}  # NovelAI in WebP
    if "UserComment" in fields:
        fields.setdefault("parameters", fields["UserComment"])
    _comfyui(fields)
    _invokeai(fields)
    _novelai(fields)
    return fields


def _tells_behind_pixels(path: Path) -> bool:
    """Whether a PNG file has text or Exif after its pixels. Reads the heads of its chunks alone."""
    behind = False
    with path.open("rb", buffering=0) as file:
        file.seek(len(_PNG_SIGNATURE))
        while len(head := file.read(_CHUNK_HEAD.size)) == _CHUNK_HEAD.size:
            length, kind = _CHUNK_HEAD.unpack(head)
            behind |= kind == b"IDAT"
            if behind and kind in _TELLING_CHUNKS:
                return True
            file.seek(length + _CRC_BYTES, os.SEEK_CUR)
    return False


def _texts(picture: Image.Image) -> dict[str, str]:
    return {str(name): value for name, value in picture.info.items() if isinstance(value, str)}


def _exif_fields(exif: Image.Exif) -> dict[str, str]:
    fields = {}
    # ComfyUI's WebP, its API nodes and those who copy them: "prompt:{…}" and "workflow:{…}" in one tag or another.
    for tag in (ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model):
        name, _, value = str(exif.get(tag, "")).partition(":")
        if name.lower() in ("prompt", "workflow") and value.lstrip().startswith("{"):
            fields[name.lower()] = value
    # AUTOMATIC1111 writes the comment where it belongs, Fooocus among the tags of the picture itself.
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment) or exif.get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes):
        encoding = _COMMENT_ENCODINGS.get(comment[:8])
        comment = comment[8:].decode(encoding, "replace") if encoding else comment.decode("utf-8", "replace")
    if comment:
        fields["UserComment"] = str(comment).rstrip("\0")
    return fields


def _comfyui(fields: dict[str, str]) -> None:
    """The graph that ran, in the shape that sd-parsers looks for.

    Links are taken from the graph itself, since the editor's workflow need not be there, and nests where the graph does
    not. Texts for several encoders count as one, and a custom sampler has what the nodes before it say.
    """
    graph = {
        name: node
        for name, node in _object(fields.get("prompt", "")).items()
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
    }
    if not graph:
        return
    links = []
    for name, node in graph.items():
        inputs = node["inputs"]
        if node.get("class_type") == "SamplerCustomAdvanced":
            for source in [inputs.get(step) for step in _CUSTOM_SAMPLER]:
                if isinstance(source, list) and source and source[0] in graph:
                    inputs.update(graph[source[0]]["inputs"])
            inputs.setdefault("positive", inputs.get("conditioning"))
            inputs |= {key: inputs.get(key) for key in ("sampler_name", "steps", "cfg")}
        for known, others in _COMFYUI_NAMES.items():
            for other in others:
                if known not in inputs and isinstance(inputs.get(other), str):
                    inputs[known] = inputs[other]
        links += [
            [0, source[0], source[1], name, 0, "CLIP" if key == "clip" else "*"]
            for key, source in inputs.items()
            if isinstance(source, list) and len(source) == 2 and isinstance(source[0], str)
        ]
    for node in graph.values():
        # sd-parsers takes any `model` for a name; between loader and sampler (LoRAs, patches) it is a link.
        if isinstance(node["inputs"].get("model"), list) and "sampler_name" not in node["inputs"]:
            del node["inputs"]["model"]
    fields["prompt"], fields["workflow"] = json.dumps(graph), json.dumps({"links": links})


def _invokeai(fields: dict[str, str]) -> None:
    """InvokeAI since its version 4 calls `name` what sd-parsers knows as `model_name`."""
    metadata = _object(fields.get("invokeai_metadata", ""))
    if not metadata:
        return
    metadata.setdefault("scheduler", "")  # upscaled pictures have none, which is no reason to lose their prompt
    model = metadata.get("model")
    if isinstance(model, dict) and "name" in model:
        model.setdefault("model_name", model["name"])
    fields["invokeai_metadata"] = json.dumps(metadata)


def _novelai(fields: dict[str, str]) -> None:
    """NovelAI's prompt stands twice, but not every program that saves such pictures keeps both."""
    prompt = _object(fields.get("Comment", "")).get("prompt")
    if isinstance(prompt, str):
        fields.setdefault("Description", prompt)
        fields.setdefault("Source", "")


def _parsed(parser: Parser, fields: dict[str, str]) -> Generation | None:
    """None where these are not the fields of the parser's program."""
    try:
        info = parser.parse(fields)
        return _told(info) if info.samplers else None
    except Exception:  # sd-parsers raises, or returns, whatever a program's unusual output leads to
        return None


def _told(info: PromptInfo) -> Generation:
    # The last sampler finishes the picture, but refiners and upscalers follow the one that the prompt is given to.
    sampler = next((one for one in info.samplers if one.prompts), info.samplers[0])
    parameters = {**info.metadata, **sampler.parameters}
    cells: dict[str, Any] = {
        "seed": parameters.get("seed", parameters.get("noise_seed")),
        "steps": parameters.get("steps"),
        "cfg_scale": parameters.get("cfg_scale"),
        "sampler": sampler.name,
        "model": str(sampler.model) if sampler.model else None,
        "negative_prompt": _joined([prompt.value for prompt in sampler.negative_prompts]),
        "generator": info.generator.value,
        "scheduler": parameters.get("scheduler"),
        "model_hash": sampler.model.hash if sampler.model else None,
    }
    settings, extra = told(cells)
    prompt = _joined([prompt.value for prompt in sampler.prompts])
    return Generation(text(prompt.strip()) or None, settings, extra)


def _joined(texts: list[str]) -> str:
    """Several encoders may have been given the same text."""
    return ", ".join(dict.fromkeys(one for one in texts if one))


def _object(raw: str) -> dict[str, Any]:
    """A JSON object; empty where it is none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
