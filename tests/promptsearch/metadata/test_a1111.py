from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptsearch.metadata.generators.a1111 import read, read_text
from tests.promptsearch.metadata import samples as made

SETTINGS = (
    "Steps: 21, Sampler: Euler a, CFG scale: 6.5, Seed: 4242, Size: 64x80, Model hash: abcdef1234, Model: some-model"
)


def parts(parameters: str) -> tuple[Any, Any, Any]:
    cells = read_text(parameters)
    return cells["prompt"], cells["negative_prompt"], cells.get("seed")


def test_prompt_negative_prompt_and_settings() -> None:
    cells = read_text(made.A1111)
    assert cells["prompt"] == "a fox in the snow, (oil painting:1.2), <lora:fur:0.8>\nby night"
    assert cells["negative_prompt"] == "blurry, text\ntwo tails"
    expected = {
        "steps": 28, "sampler": "DPM++ 2M Karras", "cfg_scale": 6.5, "seed": 1234567890, "generated_width": 512,
        "generated_height": 768, "model_hash": "6ce0161689", "model": "foxes-v2", "clip_skip": 2,
        "lora_hashes": "fur: 7c6bad76eb54", "lora": ["fur"], "lora_weights": [0.8], "generator_version": "v1.9.4",
    }  # fmt: skip
    assert {name: cells[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (SETTINGS, ("", "", 4242)),
        (f"Negative prompt: blurry\n{SETTINGS}", ("", "blurry", 4242)),
        (f"an owl\r\nNegative prompt: blurry\r\n{SETTINGS}", ("an owl", "blurry", 4242)),
        (f"an owl\nNegative prompt: blurry\nNegative prompt: text\n{SETTINGS}", ("an owl", "blurry\ntext", 4242)),
        (f"an owl. Negative prompt: blurry. {SETTINGS}", ("an owl.", "blurry.", 4242)),
        (f"an owl\nNegative prompt: x\n{SETTINGS}\nTemplate: a {{tin|brass}} owl, Steps: x", ("an owl", "x", 4242)),
        ("an owl\nSteps: 21, Seed: 4242, Size: 64x64", ("an owl", "", 4242)),
        ("an owl\nSteps: 21, CFG scale: 6.5, Seed: 4242, Model: m", ("an owl", "", 4242)),
        ("an owl\nSampler: Euler, Seed: 4242, CFG scale: 2", ("an owl", "", 4242)),  # no steps, but three known keys
        ("an owl\nNegative prompt: blurry", ("an owl", "blurry", None)),
        ("how to: draw an owl, step by step", ("how to: draw an owl, step by step", "", None)),
        ("an owl\nSteps: many of them, up to the door", ("an owl\nSteps: many of them, up to the door", "", None)),
        ("", ("", "", None)),
    ],
)
def test_settings_are_separated_from_incomplete_prompts(parameters: str, expected: tuple[Any, Any, Any]) -> None:
    assert parts(parameters) == expected


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("Model: flux:dev", "model", "flux:dev"),
        ('ADetailer prompt: "owl face, sharp: eyes"', "adetailer_prompt", "owl face, sharp: eyes"),
        (r'Hires prompt: "a \"tin\" owl\nby night"', "hires_prompt", 'a "tin" owl\nby night'),
        ('Civitai resources: [{"type":"lora","modelName":"X: y, z"}]', "civitai_resources",
         [{"type": "lora", "modelName": "X: y, z"}]),
        ("Hashes: {broken", "hashes", "{broken"),
        ('Note: "not closed', "note", '"not closed'),
        ("CFG scale: 7,5", "cfg_scale", "7,5"),
        ("Guidance Scale: 3.0", "cfg_scale", 3.0),
        ("RP Active: True", "rp_active", "True"),
        ("ENSD: 31337", "ensd", 31337),
        ("Variation seed: 18446744073709551615", "variation_seed", "18446744073709551615"),
    ],
)  # fmt: skip
def test_values_may_hold_commas_colons_quotes_and_json(setting: str, name: str, value: Any) -> None:
    cells = read_text(f"an owl\nSteps: 5, {setting}, Version: v1.10.1")
    assert cells[name] == value
    assert cells["generator_version"] == "v1.10.1"


def test_loras_come_from_the_prompts_tags_or_else_from_the_settings() -> None:
    assert read_text(made.A1111_HIRES)["lora"] == ["fur", "snow"]
    assert read_text(made.A1111_HIRES)["lora_weights"] == [0.8, 0.3]
    hashed = read_text('an owl\nSteps: 5, Lora hashes: "ink: 1234, line: 5678", Seed: 1')
    assert (hashed["lora"], hashed["lora_weights"]) == (["ink", "line"], [None, None])
    civitai = 'an owl\nSteps: 5, Civitai resources: [{"type":"lora","weight":0.5,"modelName":"Ink"}], Seed: 1'
    assert (read_text(civitai)["lora"], read_text(civitai)["lora_weights"]) == (["Ink"], [0.5])


@pytest.mark.parametrize(
    ("settings", "generator"),
    [
        ("Steps: 5, Version: v1.10.1", "AUTOMATIC1111"),
        ("Steps: 5, Version: f2.0.1v1.10.1-previous-659", "Forge"),
        ("Steps: 5, Version: stable-diffusion.cpp", "stable-diffusion.cpp"),
        ("Steps: 5, Version: ComfyUI", "ComfyUI"),
        ("Steps: 5, App: SD.Next, Version: 4663edb", "SD.Next"),
    ],
)
def test_the_generator_is_recognised_by_its_version(settings: str, generator: str) -> None:
    assert read_text(f"an owl\n{settings}")["generator"] == generator


def test_forges_modules_name_the_vae() -> None:
    cells = read_text(made.FORGE_HIRES)
    assert (cells["vae"], cells["guidance"], cells["scheduler"]) == ("ae", 3.5, "Simple")


def test_a_comment_without_settings_is_about_anything() -> None:
    assert read({"UserComment": "Screenshot", "comment": "made with love"}) is None
    assert read({"parameters": '{"prompt": "x"}'}) is None


@given(st.text(alphabet='aSteps: 1,\n"[]{}NegativeprompSed<lor>.\\', max_size=300))
def test_any_text_is_read(parameters: str) -> None:
    cells = read_text(parameters)
    assert len(cells["prompt"]) <= len(parameters)


@pytest.mark.parametrize("part", ["Steps: 1, ", "a: ", ", ", '"', '"\\', "[", "Negative prompt:", "\n\n", " "])
def test_long_texts_cost_no_more_than_they_are_long(part: str) -> None:
    cells = read_text(f"an owl\nSteps: 5, Sampler: {part * 30_000}")
    assert (cells["prompt"], cells["steps"]) == ("an owl", 5)
    assert read_text(part * 30_000)["prompt"] in (part * 30_000, (part * 30_000).strip(), "")
