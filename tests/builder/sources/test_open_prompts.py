"""`tests/data/open_prompts.csv` is our own, in the columns of open-prompts; OPEN_PROMPTS_CSV names a real one."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from builder.sources import Item, Rejected, open_source
from promptsearch.errors import SourceError
from tests.builder.sources.building import built, split_rejected
from tests.support.drawing import picture

CSV = Path(__file__).parents[2] / "data" / "open_prompts.csv"


def read(images: Path | None = None) -> tuple[dict[str, Item], list[Rejected]]:
    """Return items by prompt (the last of each), and what was rejected."""
    read = list(open_source("open-prompts", CSV, images).items())
    items = {item.prompt: item for item in read if isinstance(item, Item)}
    return {prompt or "": item for prompt, item in items.items()}, [r for r in read if isinstance(r, Rejected)]


def test_a_generation_has_the_fields_of_discord() -> None:
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


def test_numbers_may_be_texts_or_missing() -> None:
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
    assert len(items) == 26
    lines = CSV.read_text(encoding="utf-8").splitlines()
    assert [rejection.reason.split(":")[0] for rejection in rejected] == [
        "raw_data is not valid JSON", "raw_data has no raw_discord_data", "raw_data has no raw_discord_data",
        "raw_data is not valid JSON",
    ]  # fmt: skip
    file, line = rejected[0].where.split(":")
    assert file == CSV.name
    assert lines[int(line) - 1].startswith("broken json")


def test_invalid_values_are_kept_as_extra() -> None:
    items, _ = read()
    assert items["half a seed"].extra["seed"] == 1.5
    assert "cfg_scale" not in items["endless"].settings
    assert items["endless"].settings["seed"] == 1030
    assert items["yesterday"].extra["created"] == "yesterday"
    assert items["half a pair"].source == "https://cdn.example.org/?.png"


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


def write(path: Path, *rows: bytes) -> Path:
    path.write_bytes(b"prompt,raw_data\n" + b"\n".join(rows))
    return path


GOOD = b'a cat,"{""raw_discord_data"": {""seed"": 1}}"'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'a dog,"{""raw_discord_data"": {""seed', "raw_data is not valid JSON"),
        (b"a dog", "the row ends before raw_data"),
        (b"\0" * 4096, "the row ends before raw_data"),
        (b'"never closed, ' + b"x" * 3_000_000, "field larger than field limit"),
    ],
)
def test_a_damaged_end_costs_no_row_before_it(tmp_path: Path, row: bytes, reason: str) -> None:
    [item], [rejected] = split_rejected(open_source("open-prompts", write(tmp_path / "a.csv", GOOD, row), None).items())
    assert (item.prompt, item.settings) == ("a cat", {"seed": 1})
    assert rejected.where == "a.csv:3"
    assert reason in rejected.reason


def test_after_a_quote_that_is_never_closed_rows_are_read_again(tmp_path: Path) -> None:
    rows = [b'"never closed, ' + b"x" * 3_000_000, GOOD, GOOD]
    read, rejected = split_rejected(open_source("open-prompts", write(tmp_path / "a.csv", *rows), None).items())
    assert [item.prompt for item in read] == ["a cat", "a cat"]
    assert len(rejected) == 1


def test_null_characters_and_byte_order_marks_are_accepted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", GOOD.replace(b"cat", b"c\0t"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    [item] = open_source("open-prompts", path, None).items()
    assert isinstance(item, Item)
    assert item.prompt == "a c\0t"


def test_the_first_picture_of_a_name_is_used(tmp_path: Path) -> None:
    for name in ("b/0.png", "a/0.webp", "c/0.txt", "0.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    [item], [rejected] = split_rejected(open_source("open-prompts", write(tmp_path / "a.csv", GOOD), tmp_path).items())
    assert item.picture is not None
    assert item.picture.file == "a/0.webp"
    assert (rejected.where, rejected.reason) == ("b/0.png", "another picture has the same name and is used: a/0.webp")


def test_an_invalid_url_has_no_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'a cat,"{""raw_discord_data"": {""image_uri"": ""http://[x/1.png""}}"')
    [item] = open_source("open-prompts", path, tmp_path).items()
    assert isinstance(item, Item)
    assert (item.source, item.picture) == ("http://[x/1.png", None)


def test_the_source_must_be_a_csv(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="open-prompts is one CSV with the columns prompt, raw_data"):
        open_source("open-prompts", tmp_path, None)
    (tmp_path / "a.csv").write_text("image,prompt\n")
    with pytest.raises(SourceError, match=r"has no column raw_data.* use manifest instead of open-prompts"):
        open_source("open-prompts", tmp_path / "a.csv", None)


def test_open_prompts_are_searched_with_and_without_pictures(tmp_path: Path) -> None:
    drawn = picture(1)
    (tmp_path / "pictures").mkdir()
    drawn.save(tmp_path / "pictures" / "a_painting_of_a_lighthouse_-S_1000_ts-1660000000_idx-0.png")
    with built(tmp_path / "with", "open-prompts", CSV, "--images", str(tmp_path / "pictures")) as search:
        assert search.image(drawn).settings["seed"] == 1000
        assert search.collection.manifest.counts["image_vectors"] == 1
    with built(tmp_path / "without", "open-prompts", CSV) as search:
        assert search.prompt("a painting of a lighthouse").text == "a painting of a lighthouse"
        assert search.collection.kinds == ("prompts",)


@pytest.mark.slow
@pytest.mark.skipif("OPEN_PROMPTS_CSV" not in os.environ, reason="OPEN_PROMPTS_CSV names no open-prompts sample")
def test_the_real_sample_is_searched_whole(tmp_path: Path) -> None:
    path = Path(os.environ["OPEN_PROMPTS_CSV"])
    read, rejected = split_rejected(open_source("open-prompts", path, None).items())
    assert rejected == []
    assert all(item.width and item.height for item in read)
    assert {tuple(item.settings) for item in read} == {(), ("seed", "steps", "cfg_scale", "created")}
    with built(tmp_path, "open-prompts", path) as search:
        assert search.collection.manifest.counts == {
            "prompts": 985, "images": 998, "image_vectors": 0, "quarantined": 0,
        }  # fmt: skip
        prompt = next(item.prompt for item in read if item.prompt)
        assert search.prompt(prompt).text == prompt


def test_a_number_of_many_digits_costs_no_row(tmp_path: Path) -> None:
    raw = '{"raw_discord_data": {"seed": %s, "num_step": 50}}' % ("9" * 5000)
    with (tmp_path / "o.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("prompt", "raw_data"), ("a fox", raw)])
    [item] = open_source("open-prompts", tmp_path / "o.csv", None).items()
    assert isinstance(item, Item)
    assert (item.prompt, item.settings, item.extra) == ("a fox", {"steps": 50}, {"seed": "9" * 5000})
