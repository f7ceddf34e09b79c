"""Each program's own fields, in all the forms that it ever wrote them in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from promptsearch.metadata import Generation, generation_of_fields
from tests.promptsearch.metadata import samples as made


def read(fields: Mapping[str, Any]) -> Generation:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    result = generation_of_fields(texts)
    assert result is not None
    return result


def test_novelai_has_its_characters_behind_the_prompt() -> None:
    result = read({**made.NOVELAI, "Comment": made.NOVELAI_V4_COMMENT})
    assert result.prompt == "2girls, park | girl, red hair | girl, umbrella"
    assert result.negative_prompt == "lowres | hat"
    assert result.settings["model"] == "NovelAI Diffusion V4"
    assert result.extra["model_hash"] == "37442FCA"
    assert result.extra["scheduler"] == "karras"
    assert (result.extra["generated_width"], result.extra["generated_height"]) == (832, 1216)


def test_novelai_may_be_packed_or_lack_a_part() -> None:
    assert read({"UserComment": made.NOVELAI}).prompt == "1girl, umbrella, rain"
    assert read({"parameters": made.NOVELAI}).settings["seed"] == 2790182331  # hidden in the pixels
    assert read({"Comment": made.NOVELAI["Comment"]}).prompt == "1girl, umbrella, rain"
    without = {**made.NOVELAI, "Comment": "{}"}
    assert read(without).prompt == "1girl, umbrella, rain"


def test_invokeai_of_every_version() -> None:
    result = read({"invokeai_metadata": made.INVOKEAI_FULL})
    assert result.prompt == "a paper boat"
    assert result.settings == {
        "seed": 3712123421, "steps": 30, "cfg_scale": 7.5, "sampler": "dpmpp_sde_k", "model": "Juggernaut XL",
    }  # fmt: skip
    assert (result.extra["lora"], result.extra["lora_weights"]) == (["paper"], [0.55])
    assert (result.extra["vae"], result.extra["hires_upscaler"]) == ("sdxl-vae-fp16-fix", "ESRGAN")
    version_3 = {**made.INVOKEAI, "model": {"model_name": "Juggernaut XL", "base_model": "sdxl"},
                 "loras": [{"lora": {"model_name": "ink"}, "weight": 0.4}]}  # fmt: skip
    assert read({"invokeai_metadata": version_3}).settings["model"] == "Juggernaut XL"
    assert read({"invokeai_metadata": version_3}).extra["lora"] == ["ink"]
    version_2 = read({"sd-metadata": made.INVOKEAI_OLD})
    assert (version_2.prompt, version_2.negative_prompt) == ("a wooden horse", "plastic")
    assert version_2.settings["sampler"] == "k_lms"
    version_1 = read({"Dream": '"a wooden horse [plastic]" -s 50 -S 18 -W 512 -H 640 -C7.5 -A k_lms'})
    assert (version_1.prompt, version_1.negative_prompt) == ("a wooden horse", "plastic")
    assert version_1.settings == {"seed": 18, "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms"}


def test_invokeais_flux_has_guidance_and_no_negative_prompt() -> None:
    flux = {"positive_prompt": "a kite", "negative_prompt": None, "seed": 42, "guidance": 4, "model": {"name": "FLUX"}}
    result = read({"invokeai_metadata": flux})
    assert (result.prompt, result.negative_prompt) == ("a kite", None)
    assert result.extra["guidance"] == 4.0


def test_fooocus_in_both_schemes_and_old_loras() -> None:
    result = read({"parameters": made.FOOOCUS, "fooocus_scheme": "fooocus"})
    assert result.prompt == "a teapot on the moon"
    assert result.settings["model"] == "juggernautXL_v8"
    assert (result.extra["lora"], result.extra["lora_weights"]) == (["offset"], [0.1])
    assert (result.extra["generated_width"], result.extra["generated_height"]) == (1152, 896)
    assert "refiner_model" not in result.extra  # it says "None"
    old = {**made.FOOOCUS, "loras": None, "lora_combined_1": "offset.safetensors : 0.5"}
    assert read({"UserComment": old}).extra["lora_weights"] == [0.5]
    assert read({"parameters": made.A1111, "fooocus_scheme": "a1111"}).settings["seed"] == 1234567890


def test_ruined_fooocus() -> None:
    fields = {"Prompt": "a teapot", "Negative": "frame", "steps": 30, "seed": 7, "cfg": 8, "software": "RuinedFooocus",
              "base_model_name": "xl.safetensors", "loras": [{"name": "ink", "weight": 0.5}]}  # fmt: skip
    result = read({"parameters": fields})
    assert (result.prompt, result.negative_prompt, result.settings["model"]) == ("a teapot", "frame", "xl.safetensors")
    assert result.extra["lora"] == ["ink"]


@pytest.mark.parametrize("field", ["parameters", "UserComment"])
def test_swarmui(field: str) -> None:
    result = read({field: made.SWARMUI})
    assert (result.prompt, result.negative_prompt) == ("a green lamp", "dust")
    assert result.settings == {
        "seed": 4077, "steps": 24, "cfg_scale": 6.5, "sampler": "dpmpp_2m", "created": "2025-01-02T00:00:00Z",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
    }  # fmt: skip
    assert (result.extra["lora"], result.extra["lora_weights"]) == (["brass", "felt"], [0.7, 0.4])
    assert (result.extra["clip_skip"], result.extra["model_hash"]) == (2, "0x31e35c80fc")


def test_swarmuis_older_loras_are_texts() -> None:
    old = {"prompt": "a lamp", "loras": "brass,felt", "loraweights": "0.7"}
    result = read({"parameters": {"sui_image_params": old}})
    assert (result.extra["lora"], result.extra["lora_weights"]) == (["brass", "felt"], [0.7, None])


def test_easy_diffusion_as_chunks_and_as_json() -> None:
    for fields in (made.EASY_DIFFUSION, {"UserComment": made.EASY_DIFFUSION}):
        result = read(fields)
        assert (result.prompt, result.negative_prompt) == ("a red kite", "blurry")
        assert result.settings == {
            "seed": 42, "steps": 25, "cfg_scale": 7.5, "sampler": "euler_a", "model": "sd-v1-5",
        }  # fmt: skip
        assert (result.extra["lora"], result.extra["lora_weights"]) == (["kites"], [0.5])
        assert "face_correction" not in result.extra  # it says "None"
    labelled = {"Prompt": "a kite", "Seed": "4", "Steps": "9", "Guidance Scale": "7", "Sampler": "ddim"}
    assert read(labelled).settings["steps"] == 9
    several = {**made.EASY_DIFFUSION, "use_lora_model": "['kites', 'sky']", "lora_alpha": "[0.5, 0.25]"}
    assert read(several).extra["lora"] == ["kites", "sky"]


def test_draw_things_in_both_of_its_forms() -> None:
    result = read({"xmp.UserComment": made.DRAW_THINGS_COMMENT, "xmp.CreatorTool": "Draw Things"})
    assert (result.prompt, result.negative_prompt) == ("a stone bridge", "people")
    assert (result.extra["lora"], result.extra["lora_weights"]) == (["mist_lora_f16.ckpt"], [0.6])
    text = read({"xmp.description": made.DRAW_THINGS_TEXT, "xmp.CreatorTool": "Draw Things"})
    assert (text.prompt, text.negative_prompt) == ("a stone bridge", "people")
    assert text.settings == result.settings
    assert text.extra["generator"] == result.extra["generator"] == "Draw Things"


def test_midjourney() -> None:
    result = read(made.MIDJOURNEY)
    assert (result.prompt, result.negative_prompt) == ("a snail made of glass, dusk", "fog")
    assert result.settings == {"seed": 77, "model": "Midjourney 6.1"}
    assert result.extra["midjourney_parameters"] == "--no fog --ar 3:2 --v 6.1 --seed 77 --style raw"
    assert generation_of_fields({"Description": "my holiday --not a prompt"}) is None
    spaces = {"Description": "a" + " --" * 20_000 + " Job ID: 0b3a2b0e-54e5-4a8e-9f6d-3f7a3f0f1c11"}
    assert read(spaces).prompt


def test_json_of_other_programs_by_its_usual_names() -> None:
    tensor_art = {"prompt": "a tin fish", "negativePrompt": "bones", "steps": 25, "samplerName": "Euler a",
                  "cfgScale": 7, "seed": "11", "width": 512, "height": 768, "clipSkip": 2,
                  "baseModel": {"label": "SDXL", "modelFileName": "fish_v1"},
                  "models": [{"type": "LORA", "modelFileName": "tin", "weight": 0.8}]}  # fmt: skip
    result = read({"generation_data": tensor_art})
    assert (result.prompt, result.negative_prompt) == ("a tin fish", "bones")
    assert result.settings == {
        "seed": 11, "steps": 25, "cfg_scale": 7.0, "sampler": "Euler a", "model": "fish_v1",
    }  # fmt: skip
    assert (result.extra["lora"], result.extra["lora_weights"]) == (["tin"], [0.8])
    assert generation_of_fields({"UserComment": '{"prompt": "password", "seed": 1}'}) is None


def test_invalid_values_are_kept_as_extra() -> None:
    odd = {**made.INVOKEAI, "seed": 2**64 - 1, "steps": "None", "cfg_scale": "7,5", "scheduler": ["x"], "width": "wide"}
    result = read({"invokeai_metadata": odd})
    assert result.prompt == "a paper boat"
    assert result.settings == {"model": "Juggernaut XL"}
    assert result.extra["sampler"] == ["x"]
    assert result.extra["seed"] == 2**64 - 1
    assert result.extra["steps"] == "None"
    assert result.extra["cfg_scale"] == "7,5"
    assert result.extra["generated_width"] == "wide"


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": '{"prompt": 5'},
        {"parameters": '{"sui_image_params": []}'},
        {"parameters": '{"sui_image_params": {"loras": {"a": 1}, "loraweights": 7, "clipstopatlayer": []}}'},
        {"parameters": '{"metadata_scheme": "fooocus", "loras": [[], {}, [1, 2], 5], "resolution": []}'},
        {"prompt": "{}", "workflow": "[]"},
        {"prompt": "[" * 100_000},
        {"invokeai_metadata": "[]"},
        {"invokeai_metadata": '{"model": [], "loras": [1, {"model": 5}], "vae": 3}'},
        {"sd-metadata": '{"image": {"prompt": [5, {"prompt": 7}], "sampler": 1}}'},
        {"sd-metadata": '{"image": []}'},
        {"Dream": "-s"},
        {"Comment": "null", "Description": "x", "Source": "y"},
        {"Comment": '{"prompt": 5, "uc": [], "v4_prompt": {"caption": {"char_captions": [1, {}]}}}'},
        {"xmp.UserComment": '{"c": 5, "sampler": 1, "lora": [5, {}], "size": 3}'},
    ],
)
def test_metadata_of_any_other_shape_costs_nothing(fields: dict[str, str]) -> None:
    result = generation_of_fields(fields)
    assert result is None or result.prompt is None


@pytest.mark.parametrize(
    ("fields", "prompt", "settings"),
    [
        ({"Dream": '"not closed -s 5 -S'}, '"not closed', {"steps": 5}),
        ({"prompt": "x", "num_inference_steps": "", "guidance_scale": "", "clip_skip": ""}, "x", {}),
    ],
)
def test_readable_fields_are_kept_beside_unreadable_ones(
    fields: dict[str, str], prompt: str, settings: dict[str, Any]
) -> None:
    result = generation_of_fields(fields)
    assert result is not None
    assert (result.prompt, result.settings) == (prompt, settings)
