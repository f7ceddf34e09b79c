"""`tests/data/open_prompts.csv` is our own, in the columns of open-prompts; OPEN_PROMPTS_CSV names a real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.sources import Item, Rejected, open_source

CSV = Path(__file__).parents[2] / "data" / "open_prompts.csv"


def read(images: Path | None = None) -> tuple[dict[str, Item], list[Rejected]]:
    """Items by prompt (the last of each), and what was rejected."""
    found = list(open_source("open-prompts", CSV, images).items())
    items = {item.prompt: item for item in found if isinstance(item, Item)}
    return {prompt or "": item for prompt, item in items.items()}, [r for r in found if isinstance(r, Rejected)]


def test_a_generation_has_what_discord_said_of_it() -> None:
    items, _ = read()
    link = "https://cdn.example.org/attachments/1/0/a_painting_of_a_lighthouse_-S_1000_ts-1660000000_idx-0.png"
    assert items["a painting of a lighthouse"] == Item(
        key=link,
        source=link,
        prompt="a painting of a lighthouse",
        width=512,
        height=512,
        settings={"seed": 1000, "steps": 50, "cfg_scale": 7.5, "created": "2022-08-08T23:06:40Z"},
        extra={"num_generations": 4},
    )


def test_numbers_may_be_texts_or_not_be_there() -> None:
    items, _ = read()
    texts = items["numbers as texts"]
    assert (texts.width, texts.height) == (640, 384)
    assert texts.settings == {"seed": 21, "steps": 30, "cfg_scale": 7.0, "created": "2022-08-09T08:11:12Z"}
    nothing = items["nothing known"]
    assert (nothing.width, nothing.settings, nothing.extra) == (None, {}, {})


def test_texts_keep_their_letters() -> None:
    items, _ = read()
    assert {
        "夜の東京、ネオン",
        "café «à la carte» – naïve ½ 🦊",
        "Ünïcödé\nwith a line break",
        'quotes "and", commas',
    } < set(items)


def test_a_row_without_link_is_known_by_its_number() -> None:
    items, _ = read()
    assert (items["no link"].key, items["no link"].source) == ("row 18", "open_prompts.csv#18")
    assert items["a link of null"].key == "row 19"


def test_an_empty_prompt_is_a_prompt() -> None:
    items, _ = read()
    assert items[""].settings["seed"] == 1028


def test_bad_rows_are_rejected_with_file_line_and_reason() -> None:
    items, rejected = read()
    assert len(items) == 22
    lines = CSV.read_text(encoding="utf-8").splitlines()
    assert [rejection.reason.split(":")[0] for rejection in rejected] == [
        "raw_data is no JSON", "raw_data has no raw_discord_data", "raw_data has no raw_discord_data",
        "raw_data is no JSON", "seed", "cfg_scale", "created",
        "'utf-8' codec can't encode character '\\ud83e' in position 24",
    ]  # fmt: skip
    file, line = rejected[0].where.split(":")
    assert file == CSV.name
    assert lines[int(line) - 1].startswith("broken json")


def test_pictures_belong_to_rows_by_the_links_file_name_or_the_number(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    names = (
        "sub/a_painting_of_a_lighthouse_-S_1000_ts-1660000000_idx-0.webp",  # any suffix, any folder
        "b c.jpg",  # b%20c.png
        "3.png",
        "18.png",
        "1.png",
        "a_painting_of_a_fox_in_snow_-S_1001_ts-1660000001_idx-0.png",  # before the number
        "unrelated.png",
    )
    for name in names:
        (tmp_path / name).touch()
    source = open_source("open-prompts", CSV, tmp_path)
    pictures = {
        item.settings.get("seed"): item.picture.file
        for item in source.items()
        if isinstance(item, Item) and item.picture
    }
    assert pictures == {1000: names[0], 1020: names[1], 1003: "3.png", 1018: "18.png", 1001: names[5]}


@pytest.mark.slow
@pytest.mark.skipif("OPEN_PROMPTS_CSV" not in os.environ, reason="OPEN_PROMPTS_CSV names no open-prompts sample")
def test_the_real_sample_is_read_whole() -> None:
    source = open_source("open-prompts", Path(os.environ["OPEN_PROMPTS_CSV"]), None)
    items = [item for item in source.items() if isinstance(item, Item)]
    assert len(items) == 998
    assert len({item.prompt for item in items}) == 985
    assert all(item.width and item.height for item in items)
    assert {tuple(item.settings) for item in items} == {(), ("seed", "steps", "cfg_scale", "created")}
