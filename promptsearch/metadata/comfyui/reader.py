"""Read ComfyUI's graph as one generation: the texts of all samplers, the settings of the first that has a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptsearch.metadata.comfyui.editor import read_workflow
from promptsearch.metadata.comfyui.graph import Graph, Node, read_prompt
from promptsearch.metadata.comfyui.models import clip_skip_of, hires_of, model_of, vae_of
from promptsearch.metadata.comfyui.names import for_role, is_conditioning
from promptsearch.metadata.comfyui.prompts import encoded_texts, sampler_texts
from promptsearch.metadata.comfyui.samplers import guidance_of, outputs, samplers_among, settings_of, size_of
from promptsearch.metadata.comfyui.values import Values
from promptsearch.metadata.generation import Cells, loras
from promptsearch.metadata.values import json_object_or_empty

GENERATOR = "ComfyUI"
# Nodes that detect things in pictures; their texts do not describe the generation.
_FINDS = re.compile(r"^SAM\d|segment|detect|grounding|dino|florence|clipseg", re.IGNORECASE)
# Nodes that process texts and numbers, for whatever purpose.
_ASIDE = re.compile(r"String|Primitive|Regex|Json|CustomCombo|Preview|ComfySwitch")
_PROMPT_FIELDS = ("prompt", "UserComment", "parameters", "comment")


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read the graph that ran (`prompt`), else the editor's (`workflow`), from a picture's fields.

    Returns the first graph with a prompt, else the first graph; None if there is none.
    """
    empty: Cells | None = None
    for name in (*_PROMPT_FIELDS, "workflow"):
        cells = read_graph(json_object_or_empty(fields.get(name)))
        if cells is not None and cells.get("prompt"):
            return cells
        empty = empty or cells
    return empty


def read_graph(workflow: Mapping[str, Any]) -> Cells | None:
    """Read a graph in either form; None if it is not a graph."""
    if isinstance(workflow.get("nodes"), list):
        graph = read_workflow(workflow)
    else:
        graph = read_prompt(workflow)
        for name in ("prompt", "workflow"):  # a JSON file may have one or both of them
            if not graph and isinstance(workflow.get(name), dict):
                return read_graph(
                    {key: value for key, value in workflow[name].items() if key not in ("prompt", "workflow")}
                )
    return _cells(graph) if graph else None


def _cells(graph: Graph) -> Cells:
    """Read the graph from the saved pictures; if no text leads to them, from previews, else from all nodes."""
    values = Values(graph)
    fallback: Cells | None = None
    for ends in outputs(graph):
        if not ends:
            continue
        nodes = graph.upstream(ends)
        cells = _sampled(values, nodes) or _made_elsewhere(values, nodes)
        if cells and cells.get("prompt"):
            return cells
        fallback = fallback or cells
    return fallback or {"generator": GENERATOR}


def _sampled(values: Values, nodes: Sequence[Node]) -> Cells | None:
    samplers = samplers_among(values.graph, nodes)
    if not samplers:
        return None
    prompts = {sampler.id: _prompts(values, sampler) for sampler in samplers}
    main = next((sampler for sampler in samplers if prompts[sampler.id][0]), samplers[0])
    cells: Cells = {
        "prompt": _joined(text for positive, _ in prompts.values() for text in positive),
        "negative_prompt": _joined(text for _, negative in prompts.values() for text in negative),
        "generator": GENERATOR,
    }
    cells |= settings_of(values, main)
    prompt_nodes = _prompt_nodes(values, main)
    if cells["guidance"] is None:
        cells["guidance"] = guidance_of(values, prompt_nodes)
    if size := size_of(values, main):
        cells |= {"generated_width": size[0], "generated_height": size[1]}
    cells["hires_upscaler"] = next(
        (
            upscaler
            for later in samplers
            if later is not main and (upscaler := hires_of(values.graph, values, later, main))
        ),
        None,
    )
    model = model_of(values, main)
    cells |= {
        "model": model.name,
        "vae": vae_of(values, list(nodes)),
        "clip_skip": clip_skip_of(values, prompt_nodes),
    }
    return cells | loras(model.loras)


def _prompts(values: Values, sampler: Node) -> tuple[list[str], list[str]]:
    """Return the positive and negative texts of a sampler.

    A text that leads to both is negative if the positive prompt has another text, and positive otherwise.
    """
    positive, negative = (sampler_texts(values, sampler, role) for role in ("positive", "negative"))
    own = [text for text in positive if text not in negative]
    return (own, negative) if own else (positive, [text for text in negative if text not in positive])


def _prompt_nodes(values: Values, sampler: Node) -> list[Node]:
    names = [name for name, _ in sampler.links() if is_conditioning(name)]
    links = [sampler.inputs[name] for name in for_role(names, "positive")]
    return values.graph.upstream(node for link in links if (node := values.graph.behind(link)))


def _made_elsewhere(values: Values, nodes: Sequence[Node]) -> Cells | None:
    """Read the node nearest to the picture that has a prompt, such as one that calls an online service."""
    apart = [node for node in nodes if _FINDS.search(node.kind)]
    beside = {node.id for node in values.graph.upstream(apart)} if apart else set()
    for node in nodes:
        if node.id in beside or _ASIDE.match(node.kind):
            continue
        prompt, negative = (
            encoded_texts(values, node, for_role(node.inputs, role), role) for role in ("positive", "negative")
        )
        if prompt:
            named = any("neg" in name.lower() for name in node.inputs)
            cells = settings_of(values, node)
            return cells | {
                "prompt": _joined(prompt),
                "negative_prompt": _joined(negative) if named else None,
                "model": node.inputs.get("model") if isinstance(node.inputs.get("model"), str) else None,
                "generator": GENERATOR,
            }
    return None


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))
