"""What each program writes, in PNG, JPEG and WebP, is read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.sources.generation import Generation, from_text, read_generation
from tests.builder.sources import generators as made
from tests.drawing import picture

FOX = Generation(
    prompt="a fox in the snow, (oil painting:1.2), <lora:fur:0.8>\nby night",
    settings={
        "seed": 1234567890,
        "steps": 28,
        "cfg_scale": 6.5,
        "sampler": "DPM++ 2M Karras",
        "model": "foxes-v2",
    },
    extra={"negative_prompt": "blurry, text\ntwo tails", "generator": "AUTOMATIC1111", "model_hash": "6ce0161689"},
)
BOTTLE = Generation(
    prompt="a glass bottle, 夜の銀河",
    settings={
        "seed": 156680208700286,
        "steps": 20,
        "cfg_scale": 8.0,
        "sampler": "euler",
        "model": "sd15/bottles.safetensors",
    },
    extra={"negative_prompt": "watermark", "generator": "ComfyUI", "scheduler": "normal"},
)
BOAT = Generation(
    prompt="a paper boat",
    settings={
        "seed": 3712123421,
        "steps": 30,
        "cfg_scale": 7.5,
        "sampler": "dpmpp_sde_k",
        "model": "Juggernaut XL",
    },
    extra={"negative_prompt": "photo", "generator": "InvokeAI"},
)
UMBRELLA = Generation(
    prompt="1girl, umbrella, rain",
    settings={
        "seed": 2790182331,
        "steps": 28,
        "cfg_scale": 5.0,
        "sampler": "k_euler_ancestral",
        "model": "NovelAI Diffusion V4",
    },
    extra={"negative_prompt": "lowres", "generator": "NovelAI", "model_hash": "37442FCA"},
)
TEAPOT = Generation(
    prompt="a teapot on the moon",
    settings={
        "seed": 5211461,
        "steps": 30,
        "cfg_scale": 4.0,
        "sampler": "dpmpp_2m_sde_gpu",
        "model": "juggernautXL_v8",
    },
    extra={"negative_prompt": "frame", "generator": "Fooocus", "scheduler": "karras", "model_hash": "aeb7e9e689"},
)
SUFFIXES = ("jpg", "webp")


def test_automatic1111_in_png(tmp_path: Path) -> None:
    assert read_generation(made.save_png(tmp_path / "a.png", {"parameters": made.A1111})) == FOX


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_automatic1111_in_jpeg_and_webp(tmp_path: Path, suffix: str) -> None:
    path = made.save_exif(tmp_path / f"a.{suffix}", {}, made.unicode_comment(made.A1111))
    assert read_generation(path) == FOX


def test_forge(tmp_path: Path) -> None:
    found = read_generation(made.save_png(tmp_path / "a.png", {"parameters": made.FORGE}))
    assert found is not None
    assert found.prompt == 'a lighthouse, "storm"'
    assert found.settings == {"seed": 7, "steps": 20, "cfg_scale": 1.0, "sampler": "Euler", "model": "flux1-dev-bnb"}
    assert found.extra == {"generator": "AUTOMATIC1111", "scheduler": "Simple", "model_hash": "bea01d51bd"}


def test_comfyui_in_png_with_and_without_the_editors_workflow(tmp_path: Path) -> None:
    workflow = {"nodes": [], "links": [[1, 4, 0, 3, 0, "MODEL"], [4, 6, 0, 3, 1, "CONDITIONING"]], "version": 0.4}
    both = made.save_png(tmp_path / "both.png", {"prompt": made.COMFYUI, "workflow": workflow})
    alone = made.save_png(tmp_path / "alone.png", {"prompt": made.COMFYUI})
    assert read_generation(both) == read_generation(alone) == BOTTLE


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_comfyui_in_jpeg_and_webp(tmp_path: Path, suffix: str) -> None:
    tags = {made.MODEL: f"prompt:{json.dumps(made.COMFYUI)}", made.MAKE: 'workflow:{"links": []}'}
    assert read_generation(made.save_exif(tmp_path / f"a.{suffix}", tags)) == BOTTLE


def test_comfyui_with_two_encoders_and_an_advanced_sampler(tmp_path: Path) -> None:
    found = read_generation(made.save_png(tmp_path / "a.png", {"prompt": made.COMFYUI_SDXL}))
    assert found is not None
    assert found.prompt == "a castle"
    assert found.extra["negative_prompt"] == "rain"
    assert found.settings == {
        "seed": 42, "steps": 25, "cfg_scale": 7.5, "sampler": "dpmpp_2m", "model": "sdxl.safetensors",
    }  # fmt: skip


def test_comfyui_with_a_custom_sampler(tmp_path: Path) -> None:
    found = read_generation(made.save_png(tmp_path / "a.png", {"prompt": made.COMFYUI_CUSTOM}))
    assert found is not None
    assert found.prompt == "a robot reading"
    assert found.settings == {
        "seed": 219670278747233, "steps": 4, "sampler": "euler", "model": "flux1-schnell.safetensors",
    }  # fmt: skip


def test_invokeai_now_and_then(tmp_path: Path) -> None:
    assert read_generation(made.save_png(tmp_path / "a.png", {"invokeai_metadata": made.INVOKEAI})) == BOAT
    version_3 = {**made.INVOKEAI, "model": {"model_name": "Juggernaut XL", "base_model": "sdxl"}}
    assert read_generation(made.save_png(tmp_path / "b.png", {"invokeai_metadata": version_3})) == BOAT
    version_2 = read_generation(made.save_png(tmp_path / "c.png", {"sd-metadata": made.INVOKEAI_OLD}))
    assert version_2 is not None
    assert version_2.prompt == "a wooden horse"
    assert version_2.extra["negative_prompt"] == "plastic"
    assert version_2.settings == {
        "seed": 1863159593, "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms", "model": "stable-diffusion-1.4",
    }  # fmt: skip
    upscaled = {name: value for name, value in made.INVOKEAI.items() if name != "scheduler"}
    without = read_generation(made.save_png(tmp_path / "d.png", {"invokeai_metadata": upscaled}))
    assert without is not None
    assert without.prompt == "a paper boat"


def test_novelai_in_png_and_webp(tmp_path: Path) -> None:
    assert read_generation(made.save_png(tmp_path / "a.png", made.NOVELAI)) == UMBRELLA
    comment = made.unicode_comment(json.dumps(made.NOVELAI))
    assert read_generation(made.save_exif(tmp_path / "a.webp", {}, comment)) == UMBRELLA
    comment_alone = read_generation(made.save_png(tmp_path / "b.png", {"Comment": made.NOVELAI["Comment"]}))
    assert comment_alone is not None
    assert comment_alone.prompt == "1girl, umbrella, rain"


def test_fooocus_in_png(tmp_path: Path) -> None:
    fields = {"parameters": made.FOOOCUS, "fooocus_scheme": "fooocus"}
    assert read_generation(made.save_png(tmp_path / "a.png", fields)) == TEAPOT


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fooocus_in_jpeg_and_webp(tmp_path: Path, suffix: str) -> None:
    tags = {made.USER_COMMENT: json.dumps(made.FOOOCUS), made.SOFTWARE: "Fooocus v2.5.5", made.MAKER_NOTE: "fooocus"}
    assert read_generation(made.save_exif(tmp_path / f"a.{suffix}", tags)) == TEAPOT


def test_text_may_stand_behind_the_pixels(tmp_path: Path) -> None:
    path = made.save_png(tmp_path / "a.png", {"parameters": made.A1111}, after_pixels=True)
    assert read_generation(path) == FOX


def test_exif_may_stand_behind_the_pixels(tmp_path: Path) -> None:
    path = made.save_exif(tmp_path / "a.png", {made.SOFTWARE: "A1111"}, made.unicode_comment(made.A1111))
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4])
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])  # before the end's chunk
    assert read_generation(path) == FOX


def test_what_stands_before_damaged_pixels_is_read(tmp_path: Path) -> None:
    path = made.save_png(tmp_path / "a.png", {"parameters": made.A1111})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"IDAT") + 20])
    assert read_generation(path) == FOX


def test_the_next_picture_is_never_given_the_last_ones_prompt(tmp_path: Path) -> None:
    paths = [
        made.save_exif(
            tmp_path / f"{number}.jpg", {}, made.unicode_comment(made.A1111.replace("a fox", f"fox {number}"))
        )
        for number in range(20)
    ]
    picture().save(tmp_path / "plain.jpg")
    for number, path in enumerate(paths):
        found = read_generation(path)
        assert found is not None
        assert found.prompt is not None
        assert found.prompt.startswith(f"fox {number} in")
        assert read_generation(tmp_path / "plain.jpg") is None


def test_a_comment_about_something_else_is_no_prompt(tmp_path: Path) -> None:
    path = made.save_exif(tmp_path / "a.jpg", {made.MAKE: "Canon", made.MODEL: "EOS 5D"}, b"ASCII\0\0\0Screenshot")
    assert read_generation(path) is None


def test_a_setting_that_is_no_such_value_is_kept_as_it_is(tmp_path: Path) -> None:
    text = made.A1111.replace("Seed: 1234567890", "Seed: many")
    found = read_generation(made.save_png(tmp_path / "a.png", {"parameters": text}))
    assert found is not None
    assert found.prompt == FOX.prompt
    assert "seed" not in found.settings
    assert found.extra["seed"] == "many"


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": '{"prompt": 5'},
        {"prompt": "{}", "workflow": "[]"},
        {"prompt": '{"1": {"class_type": "KSampler", "inputs": {"sampler_name": [], "steps": {}, "cfg": null}}}'},
        {"prompt": '{"1": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": [[], 0], "guider": [1, 2, 3]}}}'},
        {"prompt": "[" * 100_000},
        {"invokeai_metadata": "[]"},
        {"invokeai_metadata": '{"model": []}'},
        {"sd-metadata": '{"image": {"prompt": 5, "sampler": 1}}'},
        {"Comment": "null", "Description": "x", "Source": "y"},
        {"parameters": "a Negative prompt: b Negative prompt: c\nSteps: 1, Sampler: x, CFG scale: 1, Seed: 1"},
    ],
)
def test_metadata_of_any_other_shape_costs_nothing(tmp_path: Path, fields: dict[str, str]) -> None:
    found = read_generation(made.save_png(tmp_path / "a.png", fields))
    assert found is None or found.settings == {}


def test_a_damaged_or_missing_file_tells_nothing(tmp_path: Path) -> None:
    whole = made.save_png(tmp_path / "a.png", {}).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:200])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("cut.png", "text.png", "missing.png"):
        assert read_generation(tmp_path / name) is None


def test_text_is_a_prompt_with_or_without_settings() -> None:
    assert from_text(made.A1111) == FOX
    assert from_text(" a cat \n") == Generation(prompt="a cat")
    assert from_text("a cat\nNegative prompt: dogs\n") == Generation("a cat", {}, {"negative_prompt": "dogs"})
    assert from_text("  ") == Generation()
