"""Find the nodes that generated the picture: those that saved it, the samplers behind them, and their settings."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptsearch.metadata.comfyui.graph import Graph, Link, Node
from promptsearch.metadata.comfyui.names import is_conditioning
from promptsearch.metadata.comfyui.values import Values

_SAVES = re.compile(r"save|export|output|combine|websocket", re.IGNORECASE)
_SHOWS = re.compile(r"preview|compare", re.IGNORECASE)
_PICTURES = re.compile(r"^(images?|pixels|frames|video|filenames|result)$", re.IGNORECASE)
_SAMPLES = frozenset({
    "seed", "noise_seed", "steps", "sampler_name", "sampler", "sigmas", "noise", "denoise", "start_at_step",
})  # fmt: skip
# Inputs through which a custom sampler gets its settings from other nodes.
_PARTS = re.compile(r"noise|guider|sampler|sigmas|schedule|pipe|tuple|settings|options|config|params", re.IGNORECASE)
_SETTINGS: Mapping[str, Sequence[str]] = {
    "seed": ("seed", "noise_seed", "rand_seed", "seed_num"),
    "steps": ("steps", "num_steps", "num_inference_steps"),
    "cfg_scale": ("cfg", "cfg_scale", "guidance_scale", "cfg_conds", "true_cfg"),
    "sampler": ("sampler_name", "sampler", "scheduler_sampler"),
    "scheduler": ("scheduler", "scheduler_name"),
    "denoise": ("denoise", "denoise_strength"),
    "guidance": ("guidance", "embedded_guidance_scale"),
}
_TEXTS = ("sampler", "scheduler")
MAX_SAMPLERS = 20  # whose texts are read
_MAX_PARTS = 50
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def outputs(graph: Graph) -> Iterator[list[Node]]:
    """Yield candidates for the output: the nodes that save pictures, those that show them, all ends, all nodes."""
    with_pictures = [node for node in graph if any(_PICTURES.match(name) for name, _ in node.links())]
    yield [node for node in with_pictures if _SAVES.search(node.kind)]
    yield [node for node in with_pictures if _SHOWS.search(node.kind)]
    yield graph.ends()
    yield list(graph)


def samplers_among(graph: Graph, nodes: Sequence[Node]) -> list[Node]:
    """Return at most MAX_SAMPLERS of the samplers among these nodes, in an order in which they can run."""
    samplers = {node.id: node for node in nodes if _is_sampler(node)}
    before = {id: sum(other.id in samplers for other in graph.upstream([node])) for id, node in samplers.items()}
    return sorted(samplers.values(), key=lambda node: before[node.id])[:MAX_SAMPLERS]


def _is_sampler(node: Node) -> bool:
    """Return whether a prompt leads to the node and it has inputs of sampling. Guiders have neither seed nor steps."""
    if not any(is_conditioning(name) for name, _ in node.links()):
        return False
    return bool(_SAMPLES & node.inputs.keys()) or "sampler" in node.kind.lower()


def settings_of(values: Values, sampler: Node) -> dict[str, Any]:
    """Return the sampler's settings, else those of the nodes that feed it; a link that cannot be resolved is kept."""
    parts = _parts(values.graph, sampler)
    return {setting: _setting(values, parts, setting) for setting in _SETTINGS}


def _parts(graph: Graph, sampler: Node) -> list[Node]:
    """Return the sampler and the nodes that feed its settings, nearest first."""
    nodes = {sampler.id: sampler}
    waiting = deque([sampler])
    while waiting and len(nodes) < _MAX_PARTS:
        for name, link in waiting.popleft().links():
            node = graph.behind(link)
            if node is not None and node.id not in nodes and _PARTS.search(name):
                nodes[node.id] = node
                waiting.append(node)
    return list(nodes.values())


def _setting(values: Values, parts: Sequence[Node], setting: str) -> Any:
    unresolved = None
    for node in parts:
        for name in _SETTINGS[setting]:
            if name not in node.inputs:
                continue
            value = values.value(node.inputs[name], name)
            if setting in _TEXTS and not isinstance(value, str):
                continue
            if not isinstance(value, Link):
                return value
            unresolved = unresolved or value
    if setting == "sampler":
        return _named_by_kind(parts)
    if setting == "steps" and unresolved is None:
        sigmas = (node.inputs.get("sigmas") for node in parts if node.kind == "ManualSigmas")
        return next((listed.count(",") for listed in sigmas if isinstance(listed, str)), None)
    return None if unresolved is None else [unresolved.node, unresolved.slot]


def _named_by_kind(parts: Sequence[Node]) -> str | None:
    """Return the sampler that a node's kind names: euler_ancestral for `SamplerEulerAncestral`."""
    for node in parts[1:]:
        if node.kind.startswith("Sampler") and not node.kind.startswith("SamplerCustom"):
            return _CAMEL.sub("_", node.kind.removeprefix("Sampler")).lower()
    return None


def guidance_of(values: Values, nodes: Sequence[Node]) -> Any:
    """Return Flux's guidance, which is set at a node between encoder and sampler."""
    for node in nodes:
        if "guidance" in node.inputs:
            guidance = values.value(node.inputs["guidance"], "guidance")
            if not isinstance(guidance, Link):
                return guidance
    return None


def size_of(values: Values, sampler: Node) -> tuple[int, int] | None:
    """Return the size (width, height) of the latent that the sampler started from, if a node states it."""
    links = [link for name, link in sampler.links() if "latent" in name.lower() or "samples" in name.lower()]
    starts = [node for link in links if (node := values.graph.behind(link))]
    for node in (sampler, *values.graph.upstream(starts)):
        if node is not sampler and _is_sampler(node):
            continue
        width, height = (values.value(node.inputs.get(name), name) for name in ("width", "height"))
        if all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in (width, height)):
            return width, height
    return None
