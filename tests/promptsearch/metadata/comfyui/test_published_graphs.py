"""Workflows that ComfyUI publishes; see tests/data/comfyui/LICENSE. The expected values were read off the graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptsearch.metadata.comfyui import read_graph

DATA = Path(__file__).parents[3] / "data" / "comfyui"
# name: how the prompt begins and ends, the negative prompt, and seed, steps, sampler and model
EXPECTED: dict[str, tuple[str, str, str, tuple[Any, ...]]] = {
    "flux_schnell": ("a bottle with a beautiful rainbow galaxy", "", "",
                     (173805153958730, 4, "euler", "flux1-schnell-fp8.safetensors")),
    "flux_schnell_full_text_to_image": ("Create a 3D - styled image: A cute, retro", "", "",
                                        (167447334682596, 4, "euler", "flux1-schnell.safetensors")),
    "sdxl_refiner_prompt_example": ("daytime sky nature dark blue galaxy bottle, daytime scenery", "milky way in it",
                                    "text, watermark", (6767725640732, 25, "euler", "sd_xl_base_1.0.safetensors")),
    "hidream_i1_fast": ("A lo-fi, grungy wide shot of a ragged large red tree", "", "bad ugly jpeg artifacts",
                        (833271177511441, 16, "lcm", "hidream_i1_fast_fp8.safetensors")),
    "image_z_image_turbo": ("Latina female with thick wavy hair", "", "",
                            (0, 8, "res_multistep", "z_image_turbo_bf16.safetensors")),
    "image_omnigen2_t2i": ("A cat with a crown lounging on a velvet throne", "",
                           "blurry, low quality, distorted, ugly, bad anatomy, deformed, poorly drawn",
                           (375248071721913, 20, "euler", "omnigen2_fp16.safetensors")),
    "api_openai_image_1_t2i": ("On a sunny day, a delicate Eiffel Tower made entirely of felt", "", "",
                               (0, None, None, "gpt-image-1.5")),
    "template_qwen_Image_2512_360_lora": ("equirectangular 360 image, A spacious warm living room", "",
                                          "低分辨率", (662848447520565, 50, "euler",
                                                       "qwen_image_2512_fp8_e4m3fn.safetensors")),
    "sd3.5_large_canny_controlnet_example": ("crystal pink dragon on a blue mystery sky", "hyperdetailed", "",
                                             (840657187058661, 32, "euler", "sd3.5_large_fp8_scaled.safetensors")),
    "image_mage_flow_t2i_int8": ("Analog film photograph, wide landscape shot", "", "",
                                 (499442600682718, 30, "euler", "mage_flow_int8_convrot.safetensors")),
}  # fmt: skip


def test_every_graph_has_expected_values() -> None:
    assert {path.stem for path in DATA.glob("*.json")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_published_graph_is_read(name: str) -> None:
    start, end, negative, settings = EXPECTED[name]
    cells = read_graph(json.loads((DATA / f"{name}.json").read_text(encoding="utf-8")))
    assert cells is not None
    assert cells["prompt"].startswith(start)
    assert cells["prompt"].rstrip().endswith(end)
    assert (cells["negative_prompt"] or "").startswith(negative)
    assert bool(cells["negative_prompt"]) == bool(negative)
    assert tuple(cells[name] for name in ("seed", "steps", "sampler", "model")) == settings
