"""The one public function: any file, any program, never an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptsearch.metadata import from_object, from_text, generation_of_fields, read_generation
from promptsearch.metadata.comfyui import read_graph
from promptsearch.metadata.generation import Generation
from tests.promptsearch.metadata import samples as made
from tests.support.drawing import as_bytes, picture

SUFFIXES = ("jpg", "webp")


def prompt(path: Path) -> str | None:
    result = read_generation(path)
    assert result == read_generation(path.read_bytes())
    return result.prompt if result else None


def test_every_program_in_png(tmp_path: Path) -> None:
    files: dict[str, dict[str, Any]] = {
        "a fox": {"parameters": made.A1111}, "a glass bottle": {"prompt": made.COMFYUI},
        "a castle": {"prompt": made.COMFYUI_SDXL}, "a robot": {"prompt": made.COMFYUI_CUSTOM},
        "a paper boat": {"invokeai_metadata": made.INVOKEAI}, "a wooden horse": {"sd-metadata": made.INVOKEAI_OLD},
        "1girl": made.NOVELAI, "a teapot": {"parameters": made.FOOOCUS}, "a green lamp": {"parameters": made.SWARMUI},
        "a red kite": made.EASY_DIFFUSION, "a snail": made.MIDJOURNEY,
    }  # fmt: skip
    for start, fields in files.items():
        assert str(prompt(made.save_png(tmp_path / "a.png", fields))).startswith(start)
        assert str(prompt(made.save_png(tmp_path / "b.png", fields, after_pixels=start != "a glass bottle")))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_program_in_jpeg_and_webp(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    for start, comment in {
        "a fox": made.A1111, "1girl": json.dumps(made.NOVELAI), "a green lamp": json.dumps(made.SWARMUI),
        "a red kite": json.dumps(made.EASY_DIFFUSION), "a glass bottle": json.dumps(made.COMFYUI),
    }.items():  # fmt: skip
        assert str(prompt(made.save_exif(path, {}, made.unicode_comment(comment)))).startswith(start)
    tags = {made.MODEL: f"prompt:{json.dumps(made.COMFYUI)}", made.MAKE: 'workflow:{"links": []}'}
    assert prompt(made.save_exif(path, tags)) == "a glass bottle, 夜の銀河"
    fooocus = {made.USER_COMMENT: json.dumps(made.FOOOCUS), made.SOFTWARE: "Fooocus v2.5.5"}
    assert prompt(made.save_exif(path, fooocus)) == "a teapot on the moon"


def test_prompts_never_carry_over_to_the_next_picture(tmp_path: Path) -> None:
    picture().save(tmp_path / "plain.jpg")
    for number in range(20):
        comment = made.unicode_comment(made.A1111.replace("a fox", f"fox {number}"))
        assert str(prompt(made.save_exif(tmp_path / "a.jpg", {}, comment))).startswith(f"fox {number} in")
        assert read_generation(tmp_path / "plain.jpg") is None


def test_fields_before_damaged_pixels_are_read(tmp_path: Path) -> None:
    content = made.save_png(tmp_path / "a.png", {"parameters": made.A1111}).read_bytes()
    result = read_generation(content[: content.index(b"IDAT") + 20])
    assert result is not None
    assert result.settings["seed"] == 1234567890


def test_an_unrelated_comment_is_not_a_prompt(tmp_path: Path) -> None:
    path = made.save_exif(tmp_path / "a.jpg", {made.MAKE: "Canon", made.MODEL: "EOS 5D"}, b"ASCII\0\0\0Screenshot")
    assert read_generation(path) is None


def test_the_prompt_alone_is_a_prompt_in_parameters_only() -> None:
    result = generation_of_fields({"parameters": "a cat"})
    assert result is not None
    assert result.prompt == "a cat"
    assert generation_of_fields({"Description": "a cat", "UserComment": "a cat"}) is None


def test_text_written_by_a_comfyui_node_takes_precedence_over_its_graph() -> None:
    result = generation_of_fields({"parameters": made.A1111, "prompt": json.dumps(made.COMFYUI)})
    assert result is not None
    assert result.settings["seed"] == 1234567890
    without = generation_of_fields({"parameters": "Steps: 5, Seed: 1, Size: 8x8", "prompt": json.dumps(made.COMFYUI)})
    assert without is not None
    assert without.prompt == "a glass bottle, 夜の銀河"


def test_numbers_that_are_none_in_json_are_read() -> None:
    """Python's writer of JSON makes NaN and infinities, which the format lacks."""
    graph = json.loads(json.dumps(made.COMFYUI))
    sampler = next(node for node in graph.values() if "denoise" in node["inputs"])
    sampler["inputs"]["denoise"] = float("nan")
    sampler["is_changed"] = [float("inf")]
    found = generation_of_fields({"prompt": json.dumps(graph)})
    assert found is not None
    assert (found.prompt, found.extra.get("denoise")) == ("a glass bottle, 夜の銀河", None)


def test_the_editors_graph_is_read_if_the_other_has_no_prompt() -> None:
    workflow = {"nodes": [{"id": 1, "type": "CLIPTextEncode", "widgets_values": ["a crane"],
                           "outputs": [{"type": "CONDITIONING"}]},
                          {"id": 2, "type": "KSampler", "widgets_values": [5, "fixed", 9, 1.0, "euler", "normal", 1.0],
                           "inputs": [{"name": "positive", "link": 1}]}],
                "links": [[1, 1, 0, 2, 0, "CONDITIONING"]]}  # fmt: skip
    for fields in ({}, {"prompt": "{}"}, {"prompt": json.dumps({"1": {"class_type": "X", "inputs": {}}})}):
        result = generation_of_fields({**fields, "workflow": json.dumps(workflow)})
        assert result is not None
        assert (result.prompt, result.settings["seed"]) == ("a crane", 5)


def test_the_raw_texts_are_kept() -> None:
    fields = {"parameters": made.A1111, "prompt": json.dumps(made.COMFYUI), "workflow": "{}", "Software": "x"}
    result = generation_of_fields(fields)
    assert result is not None
    assert result.raw == {name: fields[name] for name in ("parameters", "prompt", "workflow")}


def test_a_text_is_a_prompt_with_or_without_settings() -> None:
    assert from_text(" a cat \n").prompt == "a cat"
    assert (from_text("a cat\nNegative prompt: dogs\n").prompt, from_text("a\nNegative prompt: b").negative_prompt) == (
        "a cat", "b",
    )  # fmt: skip
    assert not from_text("  ")


def test_a_damaged_or_missing_file_returns_none(tmp_path: Path) -> None:
    whole = as_bytes(picture())
    for content in (whole[:200], b"no picture", b"", whole[:8]):
        assert read_generation(content) is None
    assert read_generation(tmp_path / "missing.png") is None
    assert read_generation(tmp_path) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
INPUTS = [
    "positive",
    "negative",
    "model",
    "text",
    "seed",
    "steps",
    "cfg",
    "sampler_name",
    "conditioning",
    "samples",
    "images",
    "pipe",
    "guider",
    "sigmas",
    "switch",
    "on_true",
    "on_false",
    "select",
    "input1",
    "string_a",
    "delimiter",
    "lora_1",
    "lora_name",
    "ckpt_name",
    "latent_image",
    "width",
    "height",
    "vae",
    "any",
]
KINDS = [
    "KSampler",
    "CLIPTextEncode",
    "StringConcatenate",
    "Reroute",
    "SaveImage",
    "VAEDecode",
    "LoraLoader",
    "TextGenerate",
    "ComfySwitchNode",
    "SamplerCustomAdvanced",
    "StringReplace",
    "StringFormat",
    "ImpactSwitch",
    "X",
]
SENDERS = [
    "Anything Everywhere",
    "Anything Everywhere3",
    "Anything Everywhere?",
    "Prompts Everywhere",
    "Seed Everywhere",
]
IDS = st.sampled_from("123456")
graphs = st.dictionaries(
    IDS,
    st.fixed_dictionaries({
        "class_type": st.sampled_from(KINDS) | json_values,
        "inputs": st.dictionaries(
            st.sampled_from(INPUTS), st.tuples(IDS, st.integers(0, 2)).map(list) | json_values, max_size=5
        ) | json_values,
    }),
    max_size=6,
)  # fmt: skip
nodes = st.lists(
    st.fixed_dictionaries({
        "id": st.integers(-20, 5),
        "type": st.sampled_from((*KINDS, *SENDERS, "a", "b", "GetNode", "SetNode")) | json_values,
        "mode": st.sampled_from([0, 2, 4]), "widgets_values": json_values,
        "inputs": st.lists(st.fixed_dictionaries({
            "name": st.sampled_from(INPUTS), "link": st.integers(0, 6) | json_values, "type": st.sampled_from("AB*"),
        }, optional={"widget": json_values, "label": json_values}), max_size=3) | json_values,
        "properties": st.fixed_dictionaries({"ue_properties": st.dictionaries(
            st.sampled_from(["title_regex", "input_regex", "group_regex", "widget_ue_connectable"]), json_values,
        )}) | json_values,
        "outputs": st.lists(st.fixed_dictionaries({"type": st.sampled_from("AB*")}), max_size=2) | json_values,
    }) | json_values,
    max_size=5,
)  # fmt: skip
links = st.lists(
    st.tuples(st.integers(0, 6), st.integers(-20, 5), st.integers(-2, 2), st.integers(-20, 5), st.integers(-2, 2)).map(
        list
    )
    | json_values,
    max_size=6,
)
workflows = st.fixed_dictionaries({
    "nodes": nodes, "links": links, "extra": json_values | st.fixed_dictionaries({"ue_links": json_values | st.lists(
        st.dictionaries(st.sampled_from(["downstream", "downstream_slot", "upstream", "upstream_slot"]),
                        st.integers(-20, 5) | json_values), max_size=3)}),
    "definitions": st.fixed_dictionaries({"subgraphs": st.lists(st.fixed_dictionaries({
        "id": st.sampled_from("ab"), "nodes": nodes, "links": links, "inputs": nodes, "outputs": nodes}), max_size=2)}),
})  # fmt: skip


def check_reads(graph: dict[str, Any]) -> None:
    """Check that a graph is read without an error, which the reader of files would log and hide."""
    assert isinstance(read_graph(graph), dict | None)
    fields = {"prompt": json.dumps(graph), "workflow": json.dumps(graph)}
    assert isinstance(generation_of_fields(fields), Generation | None)


@given(graphs | workflows)
@settings(max_examples=50)
def test_any_graph_is_read(graph: dict[str, Any]) -> None:
    check_reads(graph)


@pytest.mark.slow
@given(graphs | workflows)
@settings(max_examples=1000)
def test_any_graph_is_read_at_length(graph: dict[str, Any]) -> None:
    check_reads(graph)


@given(st.dictionaries(st.sampled_from(["prompt", "negative_prompt", "sui_image_params", "seed", "loras", "created",
                                        "num_inference_steps", "guidance_scale", "steps"]), json_values))  # fmt: skip
def test_any_object_is_read(content: dict[str, Any]) -> None:
    assert isinstance(from_object(content), Generation | None)
    names = "parameters UserComment Comment invokeai_metadata sd-metadata generation_data xmp.UserComment"
    for name in names.split():
        assert isinstance(generation_of_fields({name: json.dumps(content)}), Generation | None)


@pytest.mark.parametrize("length", [50, 2000])
def test_long_and_round_graphs_end(length: int) -> None:
    """Graphs are chains, circles, and diamonds, whose paths are many more than their nodes."""
    both = [[str(n + 1), 0] for n in range(length)]
    chain = {
        str(n): {"class_type": "StringConcatenate", "inputs": {"string_a": link, "string_b": link, "delimiter": ""}}
        for n, link in enumerate(both)
    }
    ends = {
        "s": {"class_type": "KSampler", "inputs": {"seed": ["0", 0], "positive": ["e", 0], "model": ["0", 0]}},
        "e": {"class_type": "CLIPTextEncode", "inputs": {"text": ["0", 0]}},
        str(length): {"class_type": "PrimitiveString", "inputs": {"value": "x"}},
    }
    assert read_graph({**chain, **ends}) is not None
    assert read_graph({**chain, **ends, str(length): {"class_type": "Reroute", "inputs": {"": ["0", 0]}}}) is not None
    conditionings = {
        str(n): {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": link, "conditioning_2": link}}
        for n, link in enumerate(both)
    }
    switches = {
        str(n): {"class_type": "ImpactSwitch", "inputs": {
            "select": link, "input1": link, "input2": both[n // 2], "seed": link, "value": both[n - 1], "number": link,
        }}
        for n, link in enumerate(both)
    }  # fmt: skip
    assert (
        read_graph({**switches, **ends, str(length): {"class_type": "Reroute", "inputs": {"": ["0", 0]}}}) is not None
    )
    sampler = {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["0", 0]}}
    assert read_graph({**conditionings, **ends, "s": sampler}) is not None
