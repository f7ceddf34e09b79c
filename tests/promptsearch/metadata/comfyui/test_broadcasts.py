"""What `Anything Everywhere` and its kin send to inputs without a link is read as if it were linked."""

from __future__ import annotations

from typing import Any

import pytest

from promptsearch.metadata.comfyui.editor import read_workflow
from tests.promptsearch.metadata.comfyui.test_editor import INNER, cells, node, subgraph, workflow

BOTH: dict[str, Any] = {"+ve": 4, "-ve": 5}
LINKS = [[1, 1, 0, 10, 0, "MODEL"], [2, 1, 1, 10, 1, "CLIP"], [4, 2, 0, 11, 0, "CONDITIONING"],
         [5, 3, 0, 11, 1, "CONDITIONING"], [6, 4, 0, 5, 0, "LATENT"], [7, 5, 0, 6, 0, "IMAGE"]]  # fmt: skip


def typed(node: dict[str, Any], **types: str) -> dict[str, Any]:
    """Return a node whose inputs have these types; the others keep their own."""
    return {
        **node, "inputs": [{**slot, "type": types.get(slot["name"], slot["type"])} for slot in node["inputs"]]
    }  # fmt: skip


def broadcast(*more: dict[str, Any], sampler: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a workflow whose sampler links to its latent only: model, texts and the encoder's CLIP are broadcast."""
    nodes = {
        "loader": node(1, "CheckpointLoaderSimple", ["m.safetensors"], outputs="MODEL CLIP VAE"),
        "positive": node(2, "CLIPTextEncode", ["a paper crane"], outputs="CONDITIONING", clip=None),
        "negative": node(3, "CLIPTextEncode", ["watermark"], outputs="CONDITIONING", clip=None),
        "sampler": sampler or node(4, "KSampler", [11, "fixed", 9, 3.5, "euler", "normal", 1.0], outputs="LATENT",
                        model=None, positive=None, negative=None),
        "decode": node(5, "VAEDecode", outputs="IMAGE", samples=6),
        "save": node(6, "SaveImage", ["x"], images=7),
        "everything": node(10, "Anything Everywhere3", anything=1, anything2=2, anything3=None),
        "prompts": node(11, "Prompts Everywhere", **BOTH),
    } | changes  # fmt: skip
    nodes["sampler"] = typed(nodes["sampler"], positive="CONDITIONING", negative="CONDITIONING")
    return workflow(*(each for each in nodes.values() if each), *more, links=LINKS)


def summary(found: dict[str, Any]) -> tuple[Any, Any, Any]:
    read = cells(found)
    return read["prompt"], read.get("negative_prompt"), read.get("model")


def linked(found: dict[str, Any]) -> dict[str, str]:
    """Return the nodes that the sampler's inputs come from."""
    return {name: link.node for name, link in read_workflow(found).nodes["4"].links()}


def test_model_and_prompts_come_by_broadcast() -> None:
    assert summary(broadcast()) == ("a paper crane", "watermark", "m.safetensors")


def test_the_links_that_the_editor_wrote_come_first() -> None:
    written = [
        {"downstream": 4, "downstream_slot": 1, "upstream": "3", "upstream_slot": 0, "controller": 11},
        {"downstream": 4, "downstream_slot": 2, "upstream": "2", "upstream_slot": 0, "controller": 11},
        "no link", {"downstream": 4},
    ]  # fmt: skip
    assert summary({**broadcast(), "extra": {"ue_links": written}}) == ("watermark", "a paper crane", None)
    assert summary({**broadcast(), "extra": {"ue_links": []}})[0] == "a paper crane"


def test_a_muted_sender_sends_nothing() -> None:
    muted = node(11, "Prompts Everywhere", mode=2, **BOTH)
    assert linked(broadcast(prompts=muted)) == {"model": "1"}


def test_links_are_not_replaced() -> None:
    other = node(20, "CLIPTextEncode", ["a tin crane"], outputs="CONDITIONING", clip=None)
    sampler = node(4, "KSampler", [11, "fixed", 9, 3.5, "euler", "normal", 1.0], outputs="LATENT", model=None,
                   positive=30, negative=None)  # fmt: skip
    found = broadcast(other, sampler=sampler)
    found["links"] = [*LINKS, [30, 20, 0, 4, 1, "CONDITIONING"]]
    assert summary(found) == ("a tin crane", "watermark", "m.safetensors")


@pytest.mark.parametrize(
    ("title", "inputs", "expected"),
    [
        ("KSampler", "positive", {"positive"}),
        (".*", "^pos", {"positive"}),
        ("", "^pos|^neg", {"positive", "negative"}),
        ("Other", "positive", set()),
        (".*", "native.*tive$", set()),
        (".*", "(positive)*", set()),  # not used: some such patterns take exponential time
        (".*", "[", set()),
    ],
)
def test_a_sender_may_name_the_inputs_that_it_is_for(title: str, inputs: str, expected: set[str]) -> None:
    choosy = node(12, "Anything Everywhere?", [title, inputs, ".*"], anything=4)
    assert linked(broadcast(choosy, prompts=None)).keys() - {"model"} == expected
    newer = {
        **node(12, "Anything Everywhere", anything=4),
        "properties": {"ue_properties": {"title_regex": title, "input_regex": inputs}},
    }
    assert linked(broadcast(newer, prompts=None)).keys() - {"model"} == expected


@pytest.mark.parametrize("option", ["group_restricted", "color_restricted", "group_regex", "input_regex_invert"])
def test_a_sender_that_is_for_a_group_or_colour_is_left_out(option: str) -> None:
    restricted = {**node(12, "Anything Everywhere", anything=4), "properties": {"ue_properties": {option: 1}}}
    assert linked(broadcast(restricted, prompts=None)) == {"model": "1"}


def test_two_of_one_kind_and_rank_send_nothing_to_the_same_input() -> None:
    senders = [node(id, "Anything Everywhere", anything=link) for id, link in ((12, 4), (13, 5))]
    assert linked(broadcast(*senders, prompts=None)) == {"model": "1"}


def test_outputs_of_the_same_type_are_matched_by_input_name() -> None:
    both = node(12, "Anything Everywhere", positive=4, negative=5)
    assert summary(broadcast(both, prompts=None))[:2] == ("a paper crane", "watermark")


def test_a_seed_goes_to_seeds_that_take_broadcasts() -> None:
    seed = node(12, "Seed Everywhere", [77, "fixed"], outputs="INT")
    sampler = typed(node(4, "KSampler", [11, "fixed", 9, 3.5, "euler", "normal", 1.0], outputs="LATENT", model=None,
                         positive=None, negative=None, seed_w=None), seed="INT")  # fmt: skip
    assert cells(broadcast(seed, sampler=sampler))["seed"] == 11
    takes = {**sampler, "properties": {"widget_ue_connectable": {"seed": True}}}
    assert cells(broadcast(seed, sampler=takes))["seed"] == 77
    assert linked(broadcast(seed, sampler={**takes, "properties": {"rejects_ue_links": True}})) == {}


def test_a_subgraph_receives_broadcasts_to_its_node() -> None:
    text = node(7, "PrimitiveStringMultiline", ["from afar"], outputs="STRING")
    sender = node(12, "Anything Everywhere", anything=40)
    user = typed(node(2, INNER, [], outputs="CONDITIONING", text=None), text="STRING")
    found = broadcast(text, sender, positive=user)
    found["links"] = [*LINKS, [40, 7, 0, 12, 0, "STRING"]]
    found["definitions"] = {"subgraphs": [subgraph({"name": "text", "type": "STRING"})]}
    assert summary(found)[0] == "from afar"
