from __future__ import annotations

from typing import Any

import pytest

from promptsearch.metadata.comfyui import read_graph
from tests.promptsearch.metadata.comfyui.graphs import graph, sampler

THROUGH = sampler(model=["patch", 0])


def cells(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    read = read_graph(graph(**nodes))
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("CheckpointLoaderSimple", {"ckpt_name": "m.safetensors"}),
        ("UNETLoader", {"unet_name": "m.safetensors", "weight_dtype": "default"}),
        ("UnetLoaderGGUF", {"unet_name": "m.safetensors"}),
        ("Efficient Loader", {"ckpt_name": "m.safetensors", "lora_name": "None"}),
        ("WanVideoModelLoader", {"model": "m.safetensors", "base_precision": "fp16"}),
        ("CheckpointLoaderSimple", {"ckpt_name": ["name", 0]}),
    ],
)
def test_the_file_of_any_loader(kind: str, inputs: dict[str, Any]) -> None:
    assert (
        cells(loader=(kind, inputs), name=("PrimitiveString", {"value": "m.safetensors"}))["model"] == "m.safetensors"
    )


@pytest.mark.parametrize(
    "patch",
    [
        ("ModelSamplingSD3", {"shift": 3.0, "model": ["loader", 0]}),
        ("FreeU_V2", {"b1": 1.3, "model": ["loader", 0]}),
        ("IPAdapterAdvanced", {"model": ["loader", 0], "ipadapter": ["adapter", 0], "image": ["photo", 0]}),
        ("Reroute", {"": ["loader", 0]}),
        ("ComfySwitchNode", {"switch": False, "on_true": ["other", 0], "on_false": ["loader", 0]}),
    ],
)
def test_a_model_comes_through_patches(patch: tuple[str, dict[str, Any]]) -> None:
    others = {"other": ("UNETLoader", {"unet_name": "other.safetensors"}),
              "adapter": ("IPAdapterModelLoader", {"ipadapter_file": "ip.safetensors"})}  # fmt: skip
    assert cells(sampler=THROUGH, patch=patch, **others)["model"] == "m.safetensors"


@pytest.mark.parametrize(
    ("patch", "names", "weights"),
    [
        (("LoraLoader", {"lora_name": "ink.safetensors", "strength_model": 0.8, "strength_clip": 0.5}),
         ["ink.safetensors"], [0.8]),
        (("LoraLoaderModelOnly", {"lora_name": "ink.safetensors", "strength_model": ["weight", 0]}),
         ["ink.safetensors"], [0.25]),
        (("Power Lora Loader (rgthree)", {"PowerLoraLoaderHeaderWidget": {"type": "x"}, "➕ Add Lora": "",
                                          "lora_1": {"on": True, "lora": "ink", "strength": 0.8},
                                          "lora_2": {"on": False, "lora": "off", "strength": 1},
                                          "lora_3": {"on": True, "lora": "line", "strength": 0.5}}),
         ["ink", "line"], [0.8, 0.5]),
        (("Lora Loader Stack (rgthree)", {"lora_01": "ink", "strength_01": 0.8, "lora_02": "None", "strength_02": 1}),
         ["ink"], [0.8]),
        (("CR Apply LoRA Stack", {"lora_stack": ["stack", 0]}), ["ink", "line"], [0.8, 0.5]),
        (("LoraTagLoader", {"text": "<lora:ink:0.8>"}), None, None),
    ],
)  # fmt: skip
def test_loras_have_their_weights(
    patch: tuple[str, dict[str, Any]], names: list[str] | None, weights: list[float] | None
) -> None:
    kind, inputs = patch
    stack = {"switch_1": "On", "lora_name_1": "ink", "model_weight_1": 0.8, "switch_2": "Off", "lora_name_2": "off",
             "model_weight_2": 1, "switch_3": "On", "lora_name_3": "line", "model_weight_3": 0.5}  # fmt: skip
    result = cells(sampler=THROUGH, patch=(kind, {**inputs, "model": ["loader", 0]}),
                  weight=("PrimitiveFloat", {"value": 0.25}), stack=("CR LoRA Stack", stack))  # fmt: skip
    assert (result.get("lora"), result.get("lora_weights")) == (names, weights)
    assert result["model"] == "m.safetensors"


def test_loras_are_in_the_order_in_which_they_are_applied() -> None:
    chain = {
        "first": ("LoraLoader", {"lora_name": "a", "strength_model": 1.0, "model": ["loader", 0]}),
        "patch": ("LoraLoader", {"lora_name": "b", "strength_model": 0.5, "model": ["first", 0]}),
    }  # fmt: skip
    assert cells(sampler=THROUGH, **chain)["lora"] == ["a", "b"]


def test_a_vae_of_its_own_and_clip_skip() -> None:
    own = {
        "vae": ("VAELoader", {"vae_name": "ae.safetensors"}),
        "decode": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["vae", 0]}),
        "skip": ("CLIPSetLastLayer", {"stop_at_clip_layer": -2, "clip": ["loader", 1]}),
        "positive": ("CLIPTextEncode", {"text": "a paper crane", "clip": ["skip", 0]}),
    }
    result = cells(**own)  # type: ignore[arg-type]
    assert (result["vae"], result["clip_skip"]) == ("ae.safetensors", 2)
    assert (cells()["vae"], cells()["clip_skip"]) == (None, None)
