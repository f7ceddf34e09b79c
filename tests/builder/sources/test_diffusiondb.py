from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from builder.sources import Item, open_source
from builder.sources.diffusiondb import DiffusionDBSource
from promptsearch.encoding.image_io import open_picture
from promptsearch.errors import PictureError, SourceError
from promptsearch.filtering.filters import Filter
from promptsearch.search.options import Options
from tests.builder.sources.building import built, served_thumbnails, split_rejected
from tests.support.drawing import as_bytes, picture

# Types of DiffusionDB's own metadata.parquet.
SCHEMA = pyarrow.schema(
    [
        ("image_name", pyarrow.string()), ("prompt", pyarrow.string()), ("part_id", pyarrow.uint16()),
        ("seed", pyarrow.uint32()), ("step", pyarrow.uint16()), ("cfg", pyarrow.float32()),
        ("sampler", pyarrow.uint8()), ("width", pyarrow.uint16()), ("height", pyarrow.uint16()),
        ("user_name", pyarrow.string()), ("timestamp", pyarrow.timestamp("us", tz="UTC")),
        ("image_nsfw", pyarrow.float32()), ("prompt_nsfw", pyarrow.float32()),
    ]
)  # fmt: skip
FOX = {"p": " a fox ü夜 ", "se": 4294967295, "c": 7.5, "st": 50, "sa": "k_lms"}
CAT = {"p": "a cat", "se": 2, "c": 8.0, "st": 30, "sa": "ddim"}


def row(name: str, part: int, **other: Any) -> dict[str, Any]:
    return {
        "image_name": name, "prompt": "a fox", "part_id": part, "seed": 4294967295, "step": 50, "cfg": 7.5,
        "sampler": 8, "width": 512, "height": 768, "user_name": "ab12", "image_nsfw": 0.1, "prompt_nsfw": 0.25,
        "timestamp": datetime(2022, 8, 9, 10, 11, 12, tzinfo=UTC), **other,
    }  # fmt: skip


def write_metadata(path: Path, rows: Sequence[Mapping[str, Any]], group: int = 2) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], SCHEMA), path, row_group_size=group)
    return path


def write_folder(root: Path, number: int, entries: Mapping[str, Any], pictures: Sequence[str] | None = None) -> Path:
    folder = root / f"part-{number:06}"
    folder.mkdir(parents=True)
    (folder / f"{folder.name}.json").write_text(json.dumps(entries), encoding="utf-8")
    for name in entries if pictures is None else pictures:
        (folder / name).write_bytes(as_bytes(picture(len(name) + number)))
    return folder


def write_zip(root: Path, number: int, entries: Mapping[str, Any], pictures: Sequence[str] | None = None) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"part-{number:06}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}.json", json.dumps(entries))
        for name in entries if pictures is None else pictures:
            archive.writestr(name, as_bytes(picture(len(name) + number)))
    return path


def items(path: Path) -> dict[str, Item]:
    """Return the items of a source by key; none is rejected."""
    read, rejected = split_rejected(open_source("diffusiondb", path, None).items())
    assert rejected == []
    return {item.key: item for item in read}


@pytest.mark.parametrize("write", [write_folder, write_zip])
@pytest.mark.parametrize("inside", ["", "images", "diffusiondb-large-part-2"])
def test_a_part_is_read_as_folder_and_as_archive(tmp_path: Path, write: Any, inside: str) -> None:
    write(tmp_path / inside, 1, {"b.png": CAT, "a.png": FOX})
    read = items(tmp_path)
    assert list(read) == ["part-000001/a.png", "part-000001/b.png"]
    fox = read["part-000001/a.png"]
    assert (fox.prompt, fox.source, fox.width, fox.extra) == ("a fox ü夜", "part-000001/a.png", None, {})
    assert fox.settings == {"seed": 4294967295, "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms"}
    assert fox.picture is not None
    assert pickle.loads(pickle.dumps(fox.picture)).read() == as_bytes(picture(6))
    in_folder = (f"{inside}/" if inside else "") + "part-000001/a.png"
    assert fox.picture.file == (in_folder if write is write_folder else None)


def test_a_part_with_folder_and_archive_is_read_from_its_folder(tmp_path: Path) -> None:
    write_zip(tmp_path, 1, {"a.png": CAT})
    write_folder(tmp_path, 1, {"a.png": CAT})
    write_zip(tmp_path / "images", 1, {"a.png": CAT})
    write_zip(tmp_path / "images", 2, {"a.png": CAT})
    read = items(tmp_path)
    assert [item.picture.file for item in read.values() if item.picture] == ["part-000001/a.png", None]
    assert list(read) == ["part-000001/a.png", "part-000002/a.png"]


def test_one_part_may_be_named(tmp_path: Path) -> None:
    folder, archive = write_folder(tmp_path, 1, {"a.png": CAT}), write_zip(tmp_path, 2, {"a.png": CAT})
    write_metadata(tmp_path / "metadata.parquet", [row("a.png", 2)])
    assert list(items(folder)) == ["part-000001/a.png"]
    [item] = items(archive).values()
    assert (item.key, item.extra["user_name"]) == ("part-000002/a.png", "ab12")


@pytest.mark.parametrize("name", ["metadata.parquet", "metadata-large.parquet"])
def test_metadata_beside_the_parts_is_added(tmp_path: Path, name: str) -> None:
    write_zip(tmp_path / "images", 1, {"a.png": FOX, "b.png": CAT, "c.png": CAT})
    rows = [row("z.png", 9), row("a.png", 1), row("other.png", 1), row("b.png", 1, prompt_nsfw=2.0, timestamp=None)]
    write_metadata(tmp_path / name, [*rows, row(None, 1), row("a.png", None)])  # type: ignore[arg-type]
    for path in (tmp_path, tmp_path / "images"):
        read = items(path)
        assert list(read) == ["part-000001/a.png", "part-000001/b.png", "part-000001/c.png"]
        fox, cat, unknown = read.values()
        assert (fox.prompt, fox.width, fox.height) == ("a fox ü夜", 512, 768)
        assert fox.settings["created"] == "2022-08-09T10:11:12Z"
        assert fox.extra == {"user_name": "ab12", "image_nsfw": 0.1, "prompt_nsfw": 0.25}
        assert (cat.settings["seed"], cat.extra["prompt_nsfw"]) == (2, 2.0)
        assert "created" not in cat.settings
        assert (unknown.width, unknown.extra) == (None, {})


def test_metadata_alone_is_a_collection_of_prompts(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "metadata.parquet", [row("a.png", 1), row("b.png", 12, sampler=9, prompt="")])
    for named in (path, tmp_path):
        fox, other = items(named).values()
        assert (fox.key, fox.prompt, fox.picture) == ("part-000001/a.png", "a fox", None)
        assert fox.settings == {
            "seed": 4294967295, "steps": 50, "cfg_scale": 7.5, "sampler": "k_lms", "created": "2022-08-09T10:11:12Z",
        }  # fmt: skip
        assert (fox.width, fox.height, fox.extra["prompt_nsfw"]) == (512, 768, 0.25)
        assert (other.key, other.prompt) == ("part-000012/b.png", None)
        assert "sampler" not in other.settings


def test_rows_of_metadata_that_name_no_picture_are_rejected(tmp_path: Path) -> None:
    rows = [row("../a.png", 1), row("ok.png", 1), row(None, 1), row("b.png", None)]  # type: ignore[arg-type]
    path = write_metadata(tmp_path / "metadata.parquet", rows)
    [item], rejected = split_rejected(open_source("diffusiondb", path, None).items())
    assert item.key == "part-000001/ok.png"
    assert [rejection.where for rejection in rejected] == [f"metadata.parquet row {number}" for number in (0, 2, 3)]


def test_a_missing_picture_keeps_its_prompt_and_a_picture_without_one_is_kept(tmp_path: Path) -> None:
    write_folder(tmp_path, 1, {"gone.png": CAT}, ["new.png"])
    write_zip(tmp_path, 2, {"gone.png": CAT}, ["new.png"])
    for gone, new in (list(items(tmp_path).values())[:2], list(items(tmp_path).values())[2:]):
        assert (gone.prompt, new.prompt) == ("a cat", None)
        assert gone.picture is not None
        assert new.picture is not None
        with pytest.raises(PictureError, match="no such file"):
            gone.picture.read()
        open_picture(new.picture.read())


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_names_that_lead_elsewhere_are_rejected(tmp_path: Path, write: Any) -> None:
    (tmp_path / "secret.png").write_bytes(as_bytes(picture()))
    names = ["../secret.png", "/etc/passwd", "..", "", "a\0.png", "..\\secret.png", "\ud83e.png"]
    write(tmp_path / "parts", 1, dict.fromkeys([*names, "a.png"], CAT), ["a.png"])
    [item], rejected = split_rejected(open_source("diffusiondb", tmp_path / "parts", None).items())
    assert item.key == "part-000001/a.png"
    assert len(rejected) == len(names)
    for rejection in rejected:
        rejection.reason.encode()
        assert "is not the name of a picture" in rejection.reason


def test_a_members_folder_is_not_part_of_its_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "part-000001.zip", "w") as archive:
        archive.writestr("part-000001/part-000001.json", json.dumps({"a.png": FOX}))
        archive.writestr("../../part-000001/a.png", as_bytes(picture(5)))
    [item] = items(tmp_path).values()
    assert item.key == "part-000001/a.png"
    assert item.picture is not None
    assert item.picture.read() == as_bytes(picture(5))


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_entries_of_another_shape_do_not_cost_the_picture(tmp_path: Path, write: Any) -> None:
    entries = {"a.png": 5, "b.png": {"p": None, "se": "many", "st": "20", "c": []}, "c.png": {"p": ["x"], "sa": ""}}
    write(tmp_path, 1, entries)
    [a, b, c], [rejected] = split_rejected(open_source("diffusiondb", tmp_path, None).items())
    assert "a.png: not a JSON object" in rejected.reason
    assert (a.prompt, a.settings) == (None, {})
    assert (b.prompt, b.settings, b.extra) == (None, {"steps": 20}, {"seed": "many"})
    assert (c.prompt, c.settings) == ("['x']", {})


@pytest.mark.parametrize("content", [b'{"a.png": ', b"[]", b"", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_json_costs_only_the_prompts(tmp_path: Path, content: bytes) -> None:
    folder = write_folder(tmp_path, 1, {"a.png": CAT})
    (folder / "part-000001.json").write_bytes(content)
    write_folder(tmp_path, 2, {"b.png": CAT})
    [a, b], [rejected] = split_rejected(open_source("diffusiondb", tmp_path, None).items())
    assert rejected.where == "part-000001/part-000001.json"
    assert (a.prompt, b.prompt) == (None, "a cat")
    assert a.picture is not None


def test_a_broken_archive_costs_only_its_part(tmp_path: Path) -> None:
    whole = write_zip(tmp_path, 1, {"a.png": CAT}).read_bytes()
    (tmp_path / "part-000001.zip").write_bytes(whole[:-100])
    (tmp_path / "part-000002.zip").write_bytes(b"")
    write_zip(tmp_path, 3, {"c.png": CAT})
    (tmp_path / "part-000004.zip").symlink_to("nowhere")
    [c], rejected = split_rejected(open_source("diffusiondb", tmp_path, None).items())
    assert c.key == "part-000003/c.png"
    assert [rejection.where for rejection in rejected] == [f"part-00000{number}.zip" for number in (1, 2, 4)]


def test_a_damaged_member_is_the_decoders_to_tell_of(tmp_path: Path) -> None:
    path = write_zip(tmp_path, 1, {"a.png": CAT})
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 0xFF
    path.write_bytes(content)
    [item] = items(tmp_path).values()
    assert item.picture is not None
    with pytest.raises(PictureError, match=r"part-000001\.zip is damaged here"):
        item.picture.read()


@pytest.mark.parametrize("everywhere", [True, False])
def test_names_that_are_not_utf_8_reject_the_picture_or_its_archive(tmp_path: Path, everywhere: bool) -> None:
    content = write_zip(tmp_path, 1, {"ä.png": CAT}).read_bytes()
    name, broken = "ä.png".encode(), b"\xff\xff.png"
    (tmp_path / "part-000001.zip").write_bytes(content.replace(name, broken, -1 if everywhere else 1))
    write_zip(tmp_path, 2, {"b.png": CAT})
    read, rejected = split_rejected(open_source("diffusiondb", tmp_path, None).items())
    if everywhere:  # nothing says what is in the archive
        assert [rejection.where for rejection in rejected] == ["part-000001.zip"]
        assert [item.key for item in read] == ["part-000002/b.png"]
    else:
        damaged, b = read
        assert b.key == "part-000002/b.png"
        assert damaged.picture is not None
        with pytest.raises(PictureError, match=r"part-000001\.zip is damaged here"):
            damaged.picture.read()


def test_invalid_metadata_raises_a_source_error(tmp_path: Path) -> None:
    write_zip(tmp_path, 1, {"a.png": CAT})
    path = tmp_path / "metadata.parquet"
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        open_source("diffusiondb", tmp_path, None)
    whole = write_metadata(path, [row("a.png", 1)]).read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        open_source("diffusiondb", path, None)
    parquet.write_table(pyarrow.table({"image_name": ["a"]}), path)
    with pytest.raises(SourceError, match="has no column part_id, prompt: it is not DiffusionDB's"):
        open_source("diffusiondb", path, None)


def test_damaged_rows_of_metadata_keep_the_pictures(tmp_path: Path) -> None:
    write_zip(tmp_path, 1, {"a.png": CAT})
    path = write_metadata(tmp_path / "metadata.parquet", [row(f"{number}.png", 1) for number in range(5000)], 100)
    content = bytearray(path.read_bytes())
    content[4:20_000] = bytes(19_996)
    path.write_bytes(content)
    [item], rejected = split_rejected(open_source("diffusiondb", tmp_path, None).items())
    assert item.prompt == "a cat"
    assert rejected[0].where == "metadata.parquet rows 0 to 99"
    assert len(rejected) < 50, "the row groups behind the damage are read"


def test_missing_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "part-1.zip").touch()
    (tmp_path / "part-000001.json").touch()
    with pytest.raises(SourceError, match=r"has neither part-000001/ nor part-000001\.zip"):
        open_source("diffusiondb", tmp_path, None)
    with pytest.raises(SourceError, match=r"nor metadata\.parquet or metadata-large\.parquet"):
        open_source("diffusiondb", tmp_path / "part-000001.json", None)


def test_the_temporary_database_is_gone_when_reading_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    write_zip(tmp_path, 1, {"a.png": CAT, "b.png": CAT})
    write_metadata(tmp_path / "metadata.parquet", [row("a.png", 1)])
    reading = iter(DiffusionDBSource(tmp_path).items())
    next(reading)
    assert list(temporary.iterdir())
    del reading
    assert not list(temporary.iterdir())


def test_diffusiondb_is_searched(tmp_path: Path) -> None:
    write_zip(tmp_path / "images", 1, {"fox.png": FOX, "cat.png": CAT, "gone.png": CAT}, ["fox.png", "cat.png"])
    write_folder(tmp_path / "images", 2, {"dog.png": {**CAT, "p": "a dog on a boat"}})
    write_metadata(tmp_path / "metadata.parquet", [row("fox.png", 1), row("dog.png", 2, prompt_nsfw=0.75)])
    with built(tmp_path / "indices", "diffusiondb", tmp_path) as search:
        assert search.collection.manifest.counts == {
            "prompts": 3, "images": 4, "image_vectors": 3, "quarantined": 1,
        }  # fmt: skip
        assert search.prompt("a dog on a boat").text == "a dog on a boat"
        read = search.image(picture(7 + 2))
        assert (read.source, read.extra["prompt_nsfw"]) == ("part-000002/dog.png", 0.75)
        options = Options(filter=Filter.parse({"prompt_nsfw": {"gte": 0.5}}))
        assert len(search.collection.search("images", None, 9, options).rows) == 1
    shown = served_thumbnails(tmp_path / "indices")
    assert shown.keys() == {"part-000001/cat.png", "part-000001/fox.png", "part-000002/dog.png"}
    assert all(thumbnail and thumbnail[8:12] == b"WEBP" for thumbnail in shown.values())
    with built(tmp_path / "prompts", "diffusiondb", tmp_path / "metadata.parquet") as search:
        assert search.collection.kinds == ("prompts",)
        assert search.prompt("a fox").image_count == 2


def test_an_invalid_number_is_kept_as_extra(tmp_path: Path) -> None:
    part = write_folder(tmp_path, 1, {"a.png": FOX, "b.png": CAT})
    path = part / "part-000001.json"
    path.write_text(path.read_text().replace("4294967295", "9" * 5000))
    read = items(tmp_path)
    assert read["part-000001/a.png"].extra == {"seed": "9" * 5000}
    assert (read["part-000001/a.png"].prompt, read["part-000001/b.png"].settings["seed"]) == ("a fox ü夜", 2)


def test_metadata_of_other_types_costs_its_own_cells(tmp_path: Path) -> None:
    table = pyarrow.table({
        "image_name": ["a.png", "b.png"], "prompt": ["a fox", "a cat"], "part_id": [1, 1],
        "image_nsfw": ["high", "low"], "sampler": [[1], [8]], "seed": [1, 2],
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "metadata.parquet")
    read = items(tmp_path / "metadata.parquet")
    assert [item.prompt for item in read.values()] == ["a fox", "a cat"]
    assert read["part-000001/a.png"].settings == {"seed": 1}
    assert read["part-000001/a.png"].extra == {"image_nsfw": "high", "sampler": [1]}
    write_folder(tmp_path, 1, {"a.png": FOX})
    assert items(tmp_path)["part-000001/a.png"].extra["image_nsfw"] == "high"
