"""Which sampler it was, and what it was set to."""

from __future__ import annotations

from typing import Any

import pytest

from promptsearch.metadata.comfyui import read_graph
from promptsearch.metadata.generation import generation
from tests.promptsearch.metadata.comfyui.graphs import DECODE, SAMPLER, Graph, alone, encode, graph, sampler

CONDITIONING = {name: SAMPLER[1][name] for name in ("model", "positive", "negative", "latent_image")}


def cells(nodes: Graph) -> dict[str, Any]:
    read = read_graph(nodes)
    assert read is not None
    return read


def settings(nodes: Graph) -> tuple[Any, ...]:
    read = cells(nodes)
    return tuple(read[name] for name in ("seed", "steps", "cfg_scale", "sampler", "scheduler"))


def test_a_samplers_own_settings() -> None:
    assert settings(graph()) == (11, 9, 3.5, "euler", "normal")
    assert cells(graph())["denoise"] == 1.0
    assert (cells(graph())["generated_width"], cells(graph())["generated_height"]) == (640, 480)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (("ClownsharKSampler_Beta", {"seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "res_2m", "scheduler": "beta57",
                                     **CONDITIONING}), (1, 2, 3.0, "res_2m", "beta57")),
        (("MyTurboSampler", {"seed": 1, "steps": 2, **CONDITIONING}), (1, 2, None, None, None)),
        (("KSamplerAdvanced", {"noise_seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "ddim", "scheduler": "simple",
                               **CONDITIONING}), (1, 2, 3.0, "ddim", "simple")),
        (("XlabsSampler", {"noise_seed": 1, "steps": 2, "true_gs": 3.0, "conditioning": ["positive", 0],
                           "neg_conditioning": ["negative", 0], "model": ["loader", 0]}), (1, 2, None, None, None)),
        (("SamplerCustom", {"noise_seed": 1, "cfg": 3.0, "sampler": ["select", 0], "sigmas": ["sigmas", 0],
                            **CONDITIONING}), (1, 4, 3.0, "heun", "beta")),
        (("SamplerCustomAdvanced", {"noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["select", 0],
                                    "sigmas": ["split", 0]}), (7, 4, 2.5, "heun", "beta")),
        (("SamplerCustomAdvanced", {"noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["ancestral", 0],
                                    "sigmas": ["manual", 0]}), (7, 3, 2.5, "euler_ancestral", None)),
    ],
)  # fmt: skip
def test_any_sampler_is_read(node: tuple[str, dict[str, Any]], expected: tuple[Any, ...]) -> None:
    parts: dict[str, tuple[str, dict[str, Any]]] = {
        "noise": ("RandomNoise", {"noise_seed": 7}), "select": ("KSamplerSelect", {"sampler_name": "heun"}),
        "sigmas": ("BasicScheduler", {"scheduler": "beta", "steps": 4, "denoise": 1.0}),
        "split": ("SplitSigmas", {"sigmas": ["sigmas", 0], "step": 2}),
        "guider": ("CFGGuider", {"cfg": 2.5, "model": ["loader", 0], "positive": ["positive", 0],
                                 "negative": ["negative", 0]}),
        "ancestral": ("SamplerEulerAncestral", {"eta": 1.0}),
        "manual": ("ManualSigmas", {"sigmas": "1.0, 0.9, 0.5, 0"}),
    }  # fmt: skip
    nodes = graph(sampler=node, **parts)
    assert settings(nodes) == expected
    assert (cells(nodes)["prompt"], cells(nodes)["negative_prompt"]) == ("a paper crane", "watermark")
    assert cells(nodes)["model"] == "m.safetensors"


def test_links_to_values_are_followed() -> None:
    linked = sampler(seed=["seed", 0], steps=["int", 0], cfg=["switch", 0], denoise=["reroute", 0])
    nodes = graph(
        sampler=linked, seed=("Seed (rgthree)", {"seed": 5}), int=("PrimitiveInt", {"value": 8}),
        switch=("ComfySwitchNode", {"switch": True, "on_true": ["high", 0], "on_false": ["low", 0]}),
        high=("PrimitiveFloat", {"value": 7.5}), low=("PrimitiveFloat", {"value": 1.0}),
        reroute=("Reroute", {"": ["low", 0]}),
    )  # fmt: skip
    assert settings(nodes)[:3] == (5, 8, 7.5)
    assert cells(nodes)["denoise"] == 1.0


def test_a_link_without_a_value_is_kept_as_extra() -> None:
    result = generation(
        cells(graph(sampler=sampler(steps=["math", 1]), math=("MathExpression", {"expression": "a*2"})))
    )
    assert result.extra["steps"] == ["math", 1]
    assert result.settings["seed"] == 11


def test_two_passes_have_the_settings_of_the_first_and_the_texts_of_both() -> None:
    second = sampler(seed=99, steps=4, denoise=0.5, latent_image=["larger", 0], positive=["detail", 0])
    nodes = graph(
        larger=("LatentUpscaleBy", {"samples": ["sampler", 0], "upscale_method": "bislerp"}), second=second,
        detail=encode("fine folds"), decode=("VAEDecode", {"samples": ["second", 0], "vae": ["loader", 2]}),
        preview=("PreviewImage", {"images": ["first", 0]}), first=DECODE,
    )  # fmt: skip
    assert settings(nodes)[:2] == (11, 9)
    assert cells(nodes)["prompt"] == "a paper crane, fine folds"
    assert cells(nodes)["hires_upscaler"] == "bislerp"


def test_settings_come_from_the_sampler_with_the_prompt() -> None:
    first = sampler(seed=1, positive=["nothing", 0])
    nodes = graph(first=first, nothing=encode(""), sampler=sampler(latent_image=["first", 0]))
    assert settings(nodes)[0] == 11


def test_nodes_not_connected_to_the_saved_picture_are_ignored() -> None:
    other = {
        "other": sampler(positive=["text", 0]),
        "text": encode("another picture"),
        "decoded": ("VAEDecode", {"samples": ["other", 0]}),
        "shown": ("PreviewImage", {"images": ["decoded", 0]}),
    }
    assert cells(graph(**other))["prompt"] == "a paper crane"
    without_saver = graph(save=("PreviewImage", {"images": ["decode", 0]}))
    assert cells(without_saver)["prompt"] == "a paper crane"
    without_any = {id: node for id, node in graph().items() if id not in ("decode", "save")}
    assert cells(without_any)["prompt"] == "a paper crane"


@pytest.mark.parametrize(
    ("kind", "inputs", "negative"),
    [
        ("OpenAIGPTImage1", {"prompt": "a paper crane", "seed": 1}, None),
        ("RecraftTextToImageNode", {"prompt": "a paper crane", "negative_prompt": "ink", "seed": 1}, "ink"),
        ("Kling4EditVideoNode", {"model": "kling-4", "model.prompt": "a paper crane", "seed": 1}, None),
        ("GeminiImage2Node", {"prompt": "a paper crane", "system_prompt": "You are an engine.", "seed": 1}, None),
    ],
)
def test_pictures_of_services_have_their_nodes_prompt(kind: str, inputs: dict[str, Any], negative: str | None) -> None:
    result = cells(alone(api=(kind, inputs), save=("SaveImage", {"images": ["api", 0]})))
    assert (result["prompt"], result["negative_prompt"], result["seed"]) == ("a paper crane", negative, 1)


def test_a_text_for_detection_is_not_a_prompt() -> None:
    nodes = alone(text=("CLIPTextEncode", {"text": "guitar"}), find=("SAM3_Detect", {"conditioning": ["text", 0]}),
                  save=("SaveImage", {"images": ["find", 0]}))  # fmt: skip
    assert not cells(nodes).get("prompt")
