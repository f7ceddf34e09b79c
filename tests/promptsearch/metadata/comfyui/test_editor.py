"""The editor's workflow is read as the graph that it would run."""

from __future__ import annotations

from typing import Any

import pytest

from promptsearch.metadata.comfyui import read_graph
from promptsearch.metadata.comfyui.editor import read_workflow
from promptsearch.metadata.comfyui.graph import Link

INNER = "aaaaaaaa-0000-4000-8000-000000000001"


def node(id: int, type: str, widgets: Any = None, mode: int = 0, outputs: str = "*", **links: Any) -> dict[str, Any]:
    """Return a node; `links`: input -> number of its link, or None; of a widget if the name ends in `_w`."""
    inputs = [
        {"name": name.removesuffix("_w"), "type": name.removesuffix("_w").upper(), "link": link}
        | ({"widget": {"name": name.removesuffix("_w")}} if name.endswith("_w") else {})
        for name, link in links.items()
    ]
    return {"id": id, "type": type, "mode": mode, "inputs": inputs, "widgets_values": widgets or [],
            "outputs": [{"type": kind} for kind in outputs.split()]}  # fmt: skip


def workflow(*nodes: dict[str, Any], links: list[Any], **more: Any) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": links, **more}


def usual(**changes: Any) -> dict[str, Any]:
    """Return a workflow of one sampler; `changes` replace `links` and nodes by name."""
    nodes = {
        "loader": node(1, "CheckpointLoaderSimple", ["m.safetensors"], outputs="MODEL CLIP VAE"),
        "positive": node(2, "CLIPTextEncode", ["a paper crane"], outputs="CONDITIONING", clip=2),
        "negative": node(3, "CLIPTextEncode", ["watermark"], outputs="CONDITIONING", clip=3),
        "sampler": node(4, "KSampler", [11, "randomize", 9, 3.5, "euler", "normal", 1.0], outputs="LATENT",
                        model=1, positive=4, negative=5),
        "decode": node(5, "VAEDecode", outputs="IMAGE", samples=6),
        "save": node(6, "SaveImage", ["x"], images=7),
    }  # fmt: skip
    links = [[1, 1, 0, 4, 0, "MODEL"], [2, 1, 1, 2, 0, "CLIP"], [3, 1, 1, 3, 0, "CLIP"],
             [4, 2, 0, 4, 1, "CONDITIONING"], [5, 3, 0, 4, 2, "CONDITIONING"],
             [6, 4, 0, 5, 0, "LATENT"], [7, 5, 0, 6, 0, "IMAGE"]]  # fmt: skip
    links = [*links, *changes.pop("links", [])]
    more = {name: changes.pop(name) for name in ("definitions",) if name in changes}
    return workflow(*(nodes | changes).values(), links=links, **more)


def cells(workflow: dict[str, Any]) -> dict[str, Any]:
    read = read_graph(workflow)
    assert read is not None
    return read


def test_widgets_have_their_names() -> None:
    read = cells(usual())
    assert (read["prompt"], read["negative_prompt"]) == ("a paper crane", "watermark")
    assert [read[name] for name in ("seed", "steps", "cfg_scale", "sampler", "scheduler", "denoise", "model")] == [
        11, 9, 3.5, "euler", "normal", 1.0, "m.safetensors",
    ]  # fmt: skip


def test_widget_names_of_the_workflow_take_precedence() -> None:
    named = node(2, "SomeEncoder", ["fixed", "a tin crane"], mode_w=None, text_w=None, clip=2)
    assert cells(usual(positive=named))["prompt"] == "a tin crane"
    by_name = node(2, "SomeEncoder", {"text": "a tin crane", "mode": "fixed"}, clip=2)
    assert cells(usual(positive=by_name))["prompt"] == "a tin crane"
    beside = {**node(2, "SomeEncoder", [1, 2, 3], clip=2), "widgets_values_named": {"text": "a tin crane"}}
    assert cells(usual(positive=beside))["prompt"] == "a tin crane"


def test_prompts_of_unknown_nodes_are_recognised() -> None:
    unknown = node(2, "SomeEncoder", ["cuda", "Model One 2.0", "x.safetensors", "a tin crane by night", 5], clip=2)
    assert cells(usual(positive=unknown))["prompt"] == "a tin crane by night"
    linked = node(2, "SomeEncoder", ["an older text that was linked"], text_w=20, clip=2)
    text = node(7, "PrimitiveStringMultiline", ["a tin crane"], outputs="STRING")
    workflow = usual(positive=linked, text=text, links=[[20, 7, 0, 2, 0, "STRING"]])
    assert cells(workflow)["prompt"] == "a tin crane"


@pytest.mark.parametrize(
    ("mode", "expected"), [(0, "a paper crane, on a shelf"), (2, "a paper crane"), (4, "a paper crane")]
)
def test_muted_and_bypassed_nodes_take_no_part(mode: int, expected: str) -> None:
    shelf = node(7, "CLIPTextEncode", ["on a shelf"], mode=2 if mode == 2 else 0, outputs="CONDITIONING")
    concat = node(8, "ConditioningConcat", mode=4 if mode == 4 else 0, outputs="CONDITIONING",
                  conditioning=20, conditioning_from=21)  # fmt: skip
    sampler = node(4, "KSampler", [11, "fixed", 9, 3.5, "euler", "normal", 1.0], model=1, positive=22, negative=5)
    links = [[20, 2, 0, 8, 0, "C"], [21, 7, 0, 8, 1, "C"], [22, 8, 0, 4, 1, "C"]]
    assert cells(usual(shelf=shelf, concat=concat, sampler=sampler, links=links))["prompt"] == expected


def test_a_bypassed_lora_is_ignored() -> None:
    lora = node(7, "LoraLoaderModelOnly", ["ink", 1.0], mode=4, outputs="MODEL", model=20)
    sampler = node(4, "KSampler", [11, "fixed", 9, 3.5, "euler", "normal", 1.0], model=21, positive=4, negative=5)
    read = cells(usual(lora=lora, sampler=sampler, links=[[20, 1, 0, 7, 0, "MODEL"], [21, 7, 0, 4, 0, "MODEL"]]))
    assert (read.get("lora"), read["model"]) == (None, "m.safetensors")


def subgraph(text_input: dict[str, Any]) -> dict[str, Any]:
    """Return a subgraph of an encoder, whose text comes from outside."""
    encoder = node(30, "CLIPTextEncode", ["what stands inside"], outputs="CONDITIONING", text_w=1)
    return {
        "id": INNER, "nodes": [encoder], "inputs": [text_input], "outputs": [{"name": "c", "type": "CONDITIONING"}],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 30, "target_slot": 0, "type": "STRING"},
            {"id": 2, "origin_id": 30, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "CONDITIONING"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (node(2, INNER, [], outputs="CONDITIONING", text_w=None), "what stands inside"),
        (node(2, INNER, ["from its widget"], outputs="CONDITIONING", text_w=None), "from its widget"),
        (node(2, INNER, [""], outputs="CONDITIONING", text=20), "from a link"),
        (node(2, INNER, [], mode=2, outputs="CONDITIONING", text=20), ""),
    ],
)
def test_subgraphs_are_unfolded(user: dict[str, Any], expected: str) -> None:
    text = node(7, "PrimitiveStringMultiline", ["from a link"], outputs="STRING")
    definitions = {"subgraphs": [subgraph({"name": "text", "type": "STRING"})]}
    workflow = usual(positive=user, text=text, links=[[20, 7, 0, 2, 0, "STRING"]], definitions=definitions)
    assert cells(workflow)["prompt"] == expected


def test_nodes_of_subgraphs_have_the_ids_that_they_run_under() -> None:
    definitions = {"subgraphs": [subgraph({"name": "text", "type": "STRING"})]}
    graph = read_workflow(
        usual(positive=node(2, INNER, [], outputs="CONDITIONING", text_w=None), definitions=definitions)
    )
    assert graph.nodes["4"].inputs["positive"] == Link("2:30", 0)
    assert "2" not in graph.nodes


def test_set_and_get_nodes_are_connected() -> None:
    put = node(7, "SetNode", ["text"], outputs="*", CONDITIONING=20)
    get = node(8, "GetNode", ["text"], outputs="CONDITIONING")
    sampler = node(4, "KSampler", [11, "fixed", 9, 3.5, "euler", "normal", 1.0], model=1, positive=21, negative=5)
    links = [[20, 2, 0, 7, 0, "CONDITIONING"], [21, 8, 0, 4, 1, "CONDITIONING"]]
    assert cells(usual(put=put, get=get, sampler=sampler, links=links))["prompt"] == "a paper crane"


def test_recursive_subgraphs_end() -> None:
    within = subgraph({"name": "text", "type": "STRING"})
    within["nodes"].append(node(31, INNER, ["x"], outputs="CONDITIONING", text_w=None))
    assert cells(usual(positive=node(2, INNER, ["a crane"], text_w=None), definitions={"subgraphs": [within]}))
