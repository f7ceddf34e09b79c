"""Follow a sampler's model input back to the file that it was loaded from, and collect the LoRAs on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from promptsearch.metadata.comfyui.graph import Graph, Link, Node
from promptsearch.metadata.comfyui.values import Values

_MODEL_FILES = (
    "ckpt_name", "unet_name", "model_name", "gguf_name", "base_ckpt_name", "checkpoint_name", "diffusion_model",
    "transformer_name", "dit_name", "model_path", "model",
)  # fmt: skip
_LORA_NAME = re.compile(r"^(lora|lora_name|lora_?name_?\d+|lora_\d+(_name)?|lora\d+)$", re.IGNORECASE)
_WEIGHTS = (
    "strength_model", "model_strength", "strength", "model_weight", "lora_wt", "lora_weight", "weight",
    "lora_model_strength", "lora_strength", "model_str",
)  # fmt: skip
# Inputs that a model may come through.
_THROUGH = re.compile(r"model|pipe|guider|lora|tuple|unet|any|input|value|on_true|on_false|^$|stack", re.IGNORECASE)
_ELSEWHERE = re.compile(r"clip_vision|control|style|upscale|patch|ipadapter|vae|image|latent|text", re.IGNORECASE)
_NONE = frozenset({"none", ""})


@dataclass
class Model:
    """The model behind a sampler."""

    name: str | None = None
    loras: list[tuple[Any, Any]] = field(default_factory=list)  # (name, weight), in the order of application
    vae: str | None = None
    clip_skip: Any = None


def model_of(values: Values, sampler: Node) -> Model:
    """Return the nearest model behind the sampler, with the LoRAs that were applied to it."""
    model = Model()
    waiting, seen = [sampler], {sampler.id}
    while waiting:
        node = waiting.pop(0)
        if node is not sampler or "ckpt_name" in node.inputs:
            model.loras += _loras(values, node)
            model.name = model.name or _file(values, node)
        if model.name and not any("lora" in name.lower() for name, _ in node.links()):
            continue
        for name in values.chosen(node) or [name for name, _ in node.links()]:
            following = values.graph.behind(node.inputs[name])
            through = _THROUGH.search(name) and not _ELSEWHERE.search(name)
            if following is not None and through and following.id not in seen:
                seen.add(following.id)
                waiting.append(following)
    model.loras.reverse()
    return model


def vae_of(values: Values, nodes: list[Node]) -> str | None:
    """Return the file of the VAE that decoded the picture; None if it is the model's own.

    `nodes` are those behind the picture, nearest first.
    """
    for node in nodes:
        if "decode" not in node.kind.lower() and "vae_name" not in node.inputs:
            continue
        link = node.inputs.get("vae")
        start = values.graph.behind(link)
        for behind in values.graph.upstream([start])[:20] if start else [node]:
            name = values.value(behind.inputs.get("vae_name"))
            if isinstance(name, str) and name.lower() not in (*_NONE, "baked vae"):
                return name
        if start is not None:
            return None
    return None


def clip_skip_of(values: Values, nodes: list[Node]) -> Any:
    """Return where the text encoder stops, as A1111 counts it: 1 is the last layer."""
    for node in nodes:
        for name in ("stop_at_clip_layer", "clip_skip", "base_clip_skip"):
            layer = values.value(node.inputs.get(name), name)
            if isinstance(layer, int) and not isinstance(layer, bool) and layer:
                return abs(layer)
    return None


def _file(values: Values, node: Node) -> str | None:
    for name in _MODEL_FILES:
        value = node.inputs.get(name)
        if value is not None and not (name == "model" and isinstance(value, Link)):
            file = values.value(value, name)
            if isinstance(file, str) and file.lower() not in _NONE:
                return file
    return None


def _loras(values: Values, node: Node) -> Iterator[tuple[Any, Any]]:
    """Yield the LoRAs of a node as (name, weight): one, several by number, or objects (rgthree's loader)."""
    for name, value in reversed(list(node.inputs.items())):
        if not _LORA_NAME.match(name):
            continue
        if isinstance(value, dict):
            if value.get("on", True):
                yield value.get("lora"), value.get("strength")
            continue
        file = values.value(value, name)
        if isinstance(file, str) and file.lower() not in _NONE and _is_on(node, name):
            yield file, _weight(values, node, name)


def _is_on(node: Node, name: str) -> bool:
    number = re.search(r"\d+", name)
    return number is None or node.inputs.get(f"switch_{number[0]}", "On") not in ("Off", False)


def _weight(values: Values, node: Node, name: str) -> Any:
    number = re.search(r"\d+", name)
    names = [f"{key}_{number[0]}" for key in _WEIGHTS] if number else []
    for key in (*names, *_WEIGHTS):
        if key in node.inputs:
            weight = values.value(node.inputs[key], key)
            return None if isinstance(weight, Link) else weight
    return None


def hires_of(graph: Graph, values: Values, sampler: Node, first: Node) -> str | None:
    """Return the model or method that enlarged the picture between the first sampler and this one; None if none."""
    links = [link for name, link in sampler.links() if re.search(r"latent|image|samples", name)]
    starts = [node for link in links if (node := graph.behind(link))]
    for node in graph.upstream(starts):
        if node.id == first.id:
            return None
        for name in ("upscale_method", "upscale_model", "upscaler", "model_name"):
            if "upscale" in node.kind.lower() and name in node.inputs:
                upscaler = values.value(node.inputs[name], "model_name")
                if isinstance(upscaler, str):
                    return upscaler
    return None
