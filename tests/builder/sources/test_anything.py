"""Whatever rows, names, archives and texts a source holds, it is read to its end, and what is good in it is found."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from builder.sources import Item, Rejected, open_source
from builder.sources.inputs.storable import storable
from promptsearch.errors import SourceError
from tests.support.drawing import as_bytes, picture

EXAMPLES = pytest.mark.parametrize(
    "examples",
    [
        pytest.param(25, id="short"),
        pytest.param(1500, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
GOOD = "a red fox in the snow"
PICTURE = as_bytes(picture(1, 8, 8))

ODD = ("", " ", "\0", "\ud83d", "夜" * 83, "x" * 251, "a" * 255, "..", "../a.png", "/a.png", "a\\b.png", "nan", "1e999",
       "9" * 5000, '"', "'", "sep=;", "{", "[1", "=1+1", "\u202e", "\ufeff", "a.png", "null")  # fmt: skip
texts = st.sampled_from(ODD) | st.text(max_size=20) | st.text(st.characters(codec=None), max_size=5)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 2**64, True])
json_values = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name).filter(
    lambda name: name not in (b".", b"..")
) | st.sampled_from([b"a" * 251 + b".png", "夜".encode() * 83 + b".png", b"\xff.png", b"a.b.PNG", b"a.txt", b"a.json"])


def read(kind: str, path: Path) -> tuple[list[Item], list[Rejected]]:
    """Read a source to its end, as a build does; all that it says can be stored."""
    everything = [storable(each) for each in open_source(kind, path, None).items()]
    items = [each for each in everything if isinstance(each, Item)]
    rejected = [each for each in everything if isinstance(each, Rejected)]
    for each in rejected:
        f"{each.where}{each.reason}".encode()
    for item in items:
        json.dumps([item.key, item.source, item.prompt, item.settings, item.extra], allow_nan=False).encode()
    return items, rejected


def prompts(kind: str, path: Path) -> list[str | None]:
    return [item.prompt for item in read(kind, path)[0]]


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))


@EXAMPLES
def test_any_row_of_a_manifest(examples: int) -> None:
    @settings(max_examples=examples)
    @given(rows=st.lists(st.lists(texts, min_size=1, max_size=6), max_size=5))
    def check(rows: list[list[str]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            header = ["image", "prompt", "seed", "created", "width"]
            write_csv(Path(folder) / "manifest.csv", header, [*rows, ["", GOOD, "1"]])
            items, rejected = read("manifest", Path(folder))
            assert items[-1].prompt == GOOD
            assert len(items) + len(rejected) == len(rows) + 1

    check()


@EXAMPLES
def test_any_bytes_of_a_csv(examples: int) -> None:
    @settings(max_examples=examples)
    @given(head=st.sampled_from([b"image,prompt\n", b"\xff\xfe", b'sep="\n', b"prompt\tx\n"]), content=st.binary())
    def check(head: bytes, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "manifest.csv").write_bytes(head + content)
            try:
                read("manifest", Path(folder))
            except SourceError as error:  # the header has none of the columns
                assert "column" in str(error) or "cannot be read" in str(error)  # noqa: PT017 - one of two outcomes

    check()


@EXAMPLES
def test_any_raw_data_of_open_prompts(examples: int) -> None:
    @settings(max_examples=examples)
    @given(rows=st.lists(st.tuples(texts, json_values | st.fixed_dictionaries({"raw_discord_data": json_values}))))
    def check(rows: list[tuple[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "o.csv"
            good = (GOOD, json.dumps({"raw_discord_data": {"seed": 1}}))
            write_csv(path, ["prompt", "raw_data"], [*((text, json.dumps(raw)) for text, raw in rows), good])
            items, rejected = read("open-prompts", path)
            assert (items[-1].prompt, items[-1].settings) == (GOOD, {"seed": 1})
            assert len(items) + len(rejected) == len(rows) + 1

    check()


@EXAMPLES
def test_any_entry_of_a_part_of_diffusiondb(examples: int) -> None:
    @settings(max_examples=examples)
    @given(entries=st.dictionaries(texts, json_values, max_size=4), zipped=st.booleans())
    def check(entries: dict[str, Any], zipped: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            described = json.dumps({**entries, "good.png": {"p": GOOD, "se": 1}})
            if zipped:
                with zipfile.ZipFile(Path(folder) / "part-000001.zip", "w") as archive:
                    archive.writestr("part-000001.json", described)
                    archive.writestr("good.png", PICTURE)
            else:
                part = Path(folder) / "part-000001"
                part.mkdir()
                (part / "part-000001.json").write_text(described)
                (part / "good.png").write_bytes(PICTURE)
            items, rejected = read("diffusiondb", Path(folder))
            [good] = [item for item in items if item.key == "part-000001/good.png"]
            assert (good.prompt, good.settings) == (GOOD, {"seed": 1})
            assert len(items) + len(rejected) >= len(entries)

    check()


def damaged(content: bytes, places: Sequence[tuple[int, int]], end: int | None) -> bytes:
    """Change some bytes, and cut the rest off."""
    changed = bytearray(content)
    for place, byte in places:
        changed[place % len(content)] = byte
    return bytes(changed[: None if end is None else end % (len(content) + 1)])


damage = st.tuples(
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=8), st.none() | st.integers(0, 2**20)
)


@EXAMPLES
def test_any_damage_of_an_archive_costs_that_archive(examples: int) -> None:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("part-000002.json", json.dumps({"a.png": {"p": "a"}}))
        archive.writestr("a.png", PICTURE)
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (("000010000.png", PICTURE), ("000010000.txt", b"a cat"), ("夜" * 60 + ".png", PICTURE)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    @settings(max_examples=examples)
    @given(damage=damage)
    def check(damage: tuple[list[tuple[int, int]], int | None]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            parts, shards = Path(folder) / "parts", Path(folder) / "shards"
            good = parts / "part-000003"
            good.mkdir(parents=True)
            (good / "part-000003.json").write_text(json.dumps({"good.png": {"p": GOOD}}))
            (parts / "part-000002.zip").write_bytes(damaged(zipped.getvalue(), *damage))
            assert GOOD in prompts("diffusiondb", parts)
            (shards / "00002").mkdir(parents=True)
            (shards / "00002" / "000020000.png").write_bytes(PICTURE)
            (shards / "00002" / "000020000.txt").write_text(GOOD)
            (shards / "00001.tar").write_bytes(damaged(tarred.getvalue(), *damage))
            assert GOOD in prompts("img2dataset", shards)

    check()


INTEGERS = st.integers(-(2**63), 2**63 - 1)
COLUMNS: Mapping[str, st.SearchStrategy[Any]] = {
    "invalid text": st.binary(max_size=6),
    "text": st.text(max_size=6),
    "time": INTEGERS,
    "nanoseconds": INTEGERS,
    "number": INTEGERS,
    "real": st.floats(),
    "binary": st.binary(max_size=6),
    "list": st.lists(INTEGERS, max_size=2),
    "struct": st.fixed_dictionaries({"a": INTEGERS, "b": st.floats()}),
    "null": st.none(),
}
VIEWS = {
    "invalid text": (pyarrow.binary(), pyarrow.string()),
    "time": (pyarrow.int64(), pyarrow.timestamp("us", tz="UTC")),
    "nanoseconds": (pyarrow.int64(), pyarrow.timestamp("ns")),
}


def column(type: str, values: Sequence[Any]) -> pyarrow.Array:
    if type not in VIEWS:
        return pyarrow.array(values)
    stored, seen = VIEWS[type]
    return pyarrow.array(values, stored).view(seen)


@st.composite
def columns(draw: st.DrawFn, names: Sequence[str], rows: int) -> dict[str, pyarrow.Array]:
    """Return columns of some of these names, each of any type."""
    chosen = {name: draw(st.none() | st.sampled_from(sorted(COLUMNS))) for name in names}
    return {
        name: column(type, draw(st.lists(COLUMNS[type], min_size=rows, max_size=rows)))
        for name, type in chosen.items()
        if type is not None
    }


SETTINGS = ("seed", "created", "width", "original_height", "sampler", "status", "exif", "a b", "url")


@EXAMPLES
def test_any_cells_of_a_shards_table(examples: int) -> None:
    @settings(max_examples=examples)
    @given(more=columns(SETTINGS, 3))
    def check(more: dict[str, pyarrow.Array]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            captions = column("invalid text", [GOOD.encode(), b"\xff\xfe", "sch\xf6n".encode("cp1252")])
            table = pyarrow.table({"key": ["0", "1", "2"], "caption": captions, **more})
            parquet.write_table(table, Path(folder) / "00000.parquet")
            assert prompts("img2dataset", Path(folder)) == [GOOD, None, "schön"]

    check()


@EXAMPLES
def test_any_cells_beside_embeddings(examples: int) -> None:
    @settings(max_examples=examples)
    @given(more=columns([*SETTINGS, "image_path", "key"], 3), vectors=st.lists(st.floats(width=32), min_size=4))
    def check(more: dict[str, pyarrow.Array], vectors: list[float]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("img_emb", "metadata"):
                (Path(folder) / name).mkdir()
            np.save(Path(folder) / "img_emb" / "img_emb_0.npy", np.array([[1] * 4, vectors[:4], [1] * 4], "<f4"))
            table = pyarrow.table({"caption": [GOOD, "a", GOOD], **more})
            parquet.write_table(table, Path(folder) / "metadata" / "metadata_0.parquet")
            found = prompts("embeddings", Path(folder))
            assert (found[0], found[-1]) == (GOOD, GOOD)

    check()


@EXAMPLES
def test_any_cells_of_diffusiondbs_metadata(examples: int) -> None:
    others = ("seed", "step", "cfg", "sampler", "timestamp", "width", "user_name", "image_nsfw", "prompt_nsfw")

    @settings(max_examples=examples)
    @given(more=columns(others, 2), parts=st.booleans())
    def check(more: dict[str, pyarrow.Array], parts: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if parts:
                part = Path(folder) / "part-000001"
                part.mkdir()
                (part / "part-000001.json").write_text(json.dumps({"a.png": {"p": GOOD}}))
            table = pyarrow.table({"image_name": ["a.png", "b.png"], "prompt": [GOOD, "b"], "part_id": [1, 1], **more})
            parquet.write_table(table, Path(folder) / "metadata.parquet")
            assert prompts("diffusiondb", Path(folder)) == [GOOD] if parts else [GOOD, "b"]

    check()


@EXAMPLES
def test_any_files_in_a_folder(examples: int) -> None:
    @settings(max_examples=examples)
    @given(files=st.dictionaries(names, st.binary(max_size=40) | st.just(PICTURE), max_size=5))
    def check(files: dict[bytes, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in {b"good.png": PICTURE, b"good.txt": GOOD.encode(), **files}.items():
                try:
                    Path(folder, os.fsdecode(name)).write_bytes(content)
                except OSError:  # this file system allows no such name
                    continue
            items, _ = read("folder", Path(folder))
            [good] = [item for item in items if item.key == "good.png"]
            assert good.prompt == GOOD or {b"good.txt", b"good.json", b"good.png"} & files.keys()

    check()
