"""The texts are those that lead to the sampler's inputs, whatever nodes they come through."""

from __future__ import annotations

from typing import Any

import pytest

from promptsearch.metadata.comfyui import read_graph
from tests.promptsearch.metadata.comfyui.graphs import Graph, alone, encode, graph, sampler


def prompts(nodes: Graph) -> tuple[Any, Any]:
    cells = read_graph(nodes)
    assert cells is not None
    return cells["prompt"], cells["negative_prompt"]


def test_texts_of_both_inputs() -> None:
    assert prompts(graph()) == ("a paper crane", "watermark")


def test_prompts_are_read_by_input_and_not_by_node_order() -> None:
    swapped = graph(sampler=sampler(positive=["negative", 0], negative=["positive", 0]))
    assert prompts(swapped) == ("watermark", "a paper crane")


@pytest.mark.parametrize(
    "node",
    [
        ("PrimitiveStringMultiline", {"value": "a paper crane"}),
        ("PrimitiveNode", {"value": "a paper crane"}),
        ("String Literal", {"string": "a paper crane"}),
        ("Text Multiline", {"text": "a paper crane"}),
        ("CR Prompt Text", {"prompt": "a paper crane"}),
        ("easy positive", {"positive": "a paper crane"}),
        ("ShowText|pysssss", {"text": ["more", 0], "text_0": "an older one"}),
        ("Reroute", {"": ["more", 0]}),
        ("PreviewAny", {"source": ["more", 0]}),
        ("ImpactWildcardProcessor", {"wildcard_text": "a __stuff__ crane", "populated_text": "a paper crane"}),
        ("StringConcatenate", {"string_a": "a paper", "string_b": "crane", "delimiter": " "}),
        ("Text Concatenate", {"delimiter": " ", "text_a": ["a", 0], "text_b": "crane"}),
        ("JoinStrings", {"string1": "a paper", "string2": "crane", "delimiter": " "}),
        ("StringFunction|pysssss", {"action": "append", "text_a": "a paper crane", "text_b": "", "text_c": ""}),
        ("StringFormat", {"f_string": "a {b} {c}", "values.b": "paper", "values.c": ["crane", 0]}),
        ("StringReplace", {"string": "a X crane", "find": "X", "replace": "paper"}),
        ("ComfySwitchNode", {"switch": True, "on_true": "a paper crane", "on_false": "another"}),
        ("ComfySwitchNode", {"switch": ["no", 0], "on_true": "another", "on_false": ["more", 0]}),
        ("CR Text Input Switch", {"Input": 2, "text1": "another", "text2": "a paper crane"}),
        ("ImpactSwitch", {"select": ["two", 0], "input1": ["a", 0], "input2": ["more", 0]}),
        ("Any Switch (rgthree)", {"any_01": ["nowhere", 0], "any_02": ["more", 0], "any_03": ["a", 0]}),
        ("SDXLPromptStyler", {"text_positive": "a paper crane", "text_negative": "text", "style": "base"}),
        ("Power Prompt (rgthree)", {"prompt": "a paper crane", "opt_model": ["loader", 0]}),
    ],
)
def test_a_text_comes_through_any_node(node: tuple[str, dict[str, Any]]) -> None:
    more: dict[str, tuple[str, dict[str, Any]]] = {
        "more": ("Text Multiline", {"text": "a paper crane"}), "a": ("Text Multiline", {"text": "a paper"}),
        "crane": ("PrimitiveString", {"value": "crane"}),
        "no": ("PrimitiveBoolean", {"value": False}), "two": ("PrimitiveInt", {"value": 2}),
    }  # fmt: skip
    assert prompts(graph(positive=encode(["text", 0]), text=node, **more))[0] == "a paper crane"


def test_a_stylers_second_output_is_the_negative_prompt() -> None:
    styler = ("SDXLPromptStyler", {"text_positive": "a paper crane", "text_negative": "text", "style": "base"})
    nodes = graph(styler=styler, positive=encode(["styler", 0]), negative=encode(["styler", 1]))
    assert prompts(nodes) == ("a paper crane", "text")


@pytest.mark.parametrize(
    "node",
    [
        ("CLIPTextEncodeFlux", {"clip_l": "crane", "t5xxl": "a paper crane", "guidance": 3.5}),
        ("CLIPTextEncodeSD3", {"clip_l": "a paper crane", "clip_g": "a paper crane", "t5xxl": ""}),
        ("CLIPTextEncodeSDXL", {"width": 64, "text_g": "a paper crane", "text_l": "a paper crane"}),
        ("CLIPTextEncodeLumina2", {"system_prompt": "superior", "user_prompt": "a paper crane"}),
        ("CLIPTextEncodeHunyuanDiT", {"bert": "a paper crane", "mt5xl": "a paper crane"}),
        ("TextEncodeQwenImageEditPlus", {"prompt": "a paper crane", "image1": ["photo", 0]}),
        ("ImpactWildcardEncode", {"wildcard_text": "a __stuff__ crane", "populated_text": "a paper crane"}),
        ("smZ CLIPTextEncode", {"text": "a paper crane", "parser": "A1111"}),
        ("BNK_CLIPTextEncodeAdvanced", {"text": "a paper crane", "weight_interpretation": "A1111"}),
        ("Krea2EditGroundedEncode", {"prompt": "a paper crane"}),
    ],
)
def test_any_encoder_is_read(node: tuple[str, dict[str, Any]]) -> None:
    assert prompts(graph(positive=node)) == ("a paper crane", "watermark")


def test_different_texts_of_one_encoder_are_joined() -> None:
    node = ("CLIPTextEncodeSDXL", {"text_g": "a crane", "text_l": "paper, folded"})
    assert prompts(graph(positive=node))[0] in ("a crane, paper, folded", "paper, folded, a crane")


@pytest.mark.parametrize(
    "node",
    [
        ("FluxGuidance", {"guidance": 3.5, "conditioning": ["text", 0]}),
        ("ControlNetApply", {"conditioning": ["text", 0], "control_net": ["net", 0], "image": ["photo", 0]}),
        ("ControlNetApplyAdvanced", {"positive": ["text", 0], "negative": ["negative", 0], "image": ["photo", 0]}),
        ("ReferenceLatent", {"conditioning": ["text", 0], "latent": ["latent", 0]}),
        ("unCLIPConditioning", {"conditioning": ["text", 0], "clip_vision_output": ["photo", 0]}),
        ("ConditioningSetTimestepRange", {"conditioning": ["text", 0], "start": 0.0, "end": 1.0}),
        ("Reroute", {"": ["text", 0]}),
        ("ComfySwitchNode", {"switch": False, "on_true": ["other", 0], "on_false": ["text", 0]}),
    ],
)
def test_a_conditioning_comes_through_any_node(node: tuple[str, dict[str, Any]]) -> None:
    nodes = graph(positive=node, text=encode("a paper crane"), other=encode("another"), photo=encode("of the photo"))
    assert prompts(nodes) == ("a paper crane", "watermark")


def test_texts_that_are_put_together_all_count() -> None:
    both = {"text": encode("a paper crane"), "shelf": encode("on a shelf")}
    concat = ("ConditioningConcat", {"conditioning_to": ["text", 0], "conditioning_from": ["shelf", 0]})
    assert prompts(graph(positive=concat, **both))[0] == "a paper crane, on a shelf"
    combine = ("ConditioningCombine", {"conditioning_1": ["text", 0], "conditioning_2": ["shelf", 0]})
    assert prompts(graph(positive=combine, **both))[0] == "a paper crane, on a shelf"
    box = ("GLIGENTextBoxApply", {"conditioning_to": ["text", 0], "text": "on a shelf", "width": 64})
    assert set(prompts(graph(positive=box, **both))[0].split(", ")) == {"a paper crane", "on a shelf"}


def test_a_zeroed_conditioning_has_no_prompt() -> None:
    zeroed = ("ConditioningZeroOut", {"conditioning": ["positive", 0]})
    assert prompts(graph(negative=zeroed)) == ("a paper crane", "")
    assert prompts(graph(positive=("ConditioningZeroOut", {"conditioning": ["negative", 0]}))) == ("", "watermark")


def test_a_text_connected_to_both_prompts_is_the_positive_prompt() -> None:
    both = graph(sampler=sampler(negative=["positive", 1]))
    assert prompts(both) == ("a paper crane", "")
    guider = ("DualCFGGuider", {"cond1": ["positive", 0], "cond2": ["negative", 0], "negative": ["negative", 0]})
    custom = ("SamplerCustomAdvanced", {"guider": ["guider", 0], "noise": ["noise", 0], "sigmas": ["sigmas", 0]})
    assert prompts(graph(guider=guider, sampler=custom)) == ("a paper crane", "watermark")


def test_pipes_and_loaders_with_texts() -> None:
    loader = (
        "easy fullLoader",
        {
            "ckpt_name": "m",
            "positive": "a paper crane",
            "negative": "watermark",
            "positive_token_normalization": "length+mean",
        },
    )
    pipe = alone(loader=loader, sampler=("easy fullkSampler", {"pipe": ["loader", 0], "seed": 5, "steps": 25}),
                 save=("PreviewImage", {"images": ["sampler", 1]}))  # fmt: skip
    assert prompts(pipe) == ("a paper crane", "watermark")
    basic = ("ToBasicPipe", {"model": ["loader", 0], "positive": ["positive", 0], "negative": ["negative", 0]})
    impact = ("ImpactKSamplerBasicPipe", {"basic_pipe": ["pipe", 0], "seed": 5, "steps": 9})
    assert prompts(graph(pipe=basic, sampler=impact)) == ("a paper crane", "watermark")
    wan: dict[str, tuple[str, dict[str, Any]]] = {
        "text": ("WanVideoTextEncode", {"positive_prompt": "a paper crane", "negative_prompt": "watermark"}),
        "sampler": ("WanVideoSampler", {"text_embeds": ["text", 0], "steps": 20, "seed": 4, "cfg": 6.0}),
    }  # fmt: skip
    assert prompts(graph(**wan)) == ("a paper crane", "watermark")
    efficient = ("Efficient Loader", {"ckpt_name": "m", "positive": "a paper crane", "negative": "watermark"})
    linked = sampler(positive=["loader", 1], negative=["loader", 2])
    assert prompts(graph(loader=efficient, sampler=linked)) == ("a paper crane", "watermark")


def test_the_request_to_a_language_model_is_read_without_its_instructions() -> None:
    request = ("StringConcatenate", {"string_a": "You are a prompt engineer. Expand.", "string_b": "a paper crane"})
    nodes = graph(asked=request, positive=encode(["writer", 0]), writer=("TextGenerate", {"prompt": ["asked", 0]}))
    assert prompts(nodes)[0] == "a paper crane"
    template = ("StringReplace", {"string": "Describe USER", "find": "USER", "replace": "a paper crane"})
    assert prompts({**nodes, **alone(asked=template)})[0] == "a paper crane"
    captioner = graph(positive=encode(["eye", 0]), eye=("Florence2Run", {"text_input": "caption", "image": ["p", 0]}))
    assert prompts(captioner)[0] == ""


def test_text_before_luminas_mark_is_removed() -> None:
    text = "You are an assistant. <Prompt Start> a paper crane"
    nodes = graph(positive=encode(["text", 0]), text=("PrimitiveString", {"value": text}))
    assert prompts(nodes)[0] == "a paper crane"
