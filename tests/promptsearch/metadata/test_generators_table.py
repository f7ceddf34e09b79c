"""The table in docs/generators.md says what is read of each program's pictures, no more and no less."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from promptsearch.metadata import Generation, generation_of_fields
from tests.promptsearch.metadata import samples as made

DOCS = Path(__file__).parents[3] / "docs" / "generators.md"
# A picture of each program, with all that it can say.
PICTURES: Mapping[str, Mapping[str, Any]] = {
    "AUTOMATIC1111": {"parameters": made.A1111_HIRES},
    "Forge": {"parameters": made.FORGE_HIRES},
    "stable-diffusion.cpp": {"parameters": made.STABLE_DIFFUSION_CPP},
    "ComfyUI": {"prompt": json.dumps(made.COMFYUI_FULL)},
    "InvokeAI": {"invokeai_metadata": json.dumps(made.INVOKEAI_FULL)},
    "NovelAI": {**made.NOVELAI, "Comment": json.dumps(made.NOVELAI_V4_COMMENT)},
    "Fooocus": {"parameters": json.dumps({**made.FOOOCUS, "vae": "sdxl_vae.safetensors"})},
    "SwarmUI": {"parameters": json.dumps(made.SWARMUI)},
    "Easy Diffusion": made.EASY_DIFFUSION,
    "Draw Things": {"xmp.UserComment": json.dumps(made.DRAW_THINGS_COMMENT)},
    "Midjourney": made.MIDJOURNEY,
}


def table() -> dict[str, dict[str, bool]]:
    """Return generator -> field -> whether the table has a mark there."""
    lines = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[:200]]
    rows = [row for row in rows if len(row) == len(header)]
    return {row[0]: {name: cell == "✓" for name, cell in zip(header[1:], row[1:], strict=True)} for row in rows}


def has(result: Generation, field: str) -> bool:
    if field == "generated_width/height":
        return {"generated_width", "generated_height"} <= result.extra.keys()
    cells = {"prompt": result.prompt, "negative_prompt": result.negative_prompt, **result.settings, **result.extra}
    return cells.get(field) is not None


def test_the_table_has_every_generator() -> None:
    assert table().keys() == PICTURES.keys()


@pytest.mark.parametrize("generator", PICTURES)
def test_fields_of_the_table_are_read(generator: str) -> None:
    result = generation_of_fields(PICTURES[generator])
    assert result is not None
    assert result.extra["generator"] == generator
    claims = table()[generator]
    assert {field: has(result, field) for field in claims} == claims
