from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from builder.sources import Item, open_source
from promptsearch.encoding.image_io import open_picture
from promptsearch.errors import PictureError, SourceError
from tests.builder.sources.building import built, split_rejected
from tests.support.drawing import as_bytes, picture

FORMATS = ("files", "webdataset", "parquet")
# img2dataset's columns, and one more as --save_additional_columns adds it.
SCHEMA = pyarrow.schema(
    [
        ("similarity", pyarrow.float64()), ("caption", pyarrow.string()), ("url", pyarrow.string()),
        ("key", pyarrow.string()), ("status", pyarrow.string()), ("error_message", pyarrow.string()),
        ("width", pyarrow.int32()), ("height", pyarrow.int32()), ("original_width", pyarrow.int32()),
        ("original_height", pyarrow.int32()), ("exif", pyarrow.string()), ("sha256", pyarrow.string()),
    ]
)  # fmt: skip


def sample(key: str, caption: str | None = "a fox", **other: Any) -> dict[str, Any]:
    return {
        "similarity": 0.3, "caption": caption, "url": f"https://example.org/{key}.png", "key": key,
        "status": "success", "error_message": None, "width": 96, "height": 64, "original_width": 1200,
        "original_height": 800, "exif": "{}", "sha256": "00ff", **other,
    }  # fmt: skip


def failed(key: str, caption: str = "a lost fox") -> dict[str, Any]:
    nothing = dict.fromkeys(["width", "height", "original_width", "original_height", "exif", "sha256"])
    return {
        **sample(key, caption), **nothing, "status": "failed_to_download", "error_message": "HTTP Error 404: Not Found",
    }  # fmt: skip


def drawn(key: str) -> bytes:
    return as_bytes(picture(int(key[-3:])), "JPEG")


def write(root: Path, format: str, shard: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a shard as img2dataset does."""
    root.mkdir(exist_ok=True)
    here = [row for row in rows if row["status"] == "success"]
    if format == "parquet":
        pictures = [drawn(row["key"]) if row in here else None for row in rows]
        table = pyarrow.Table.from_pylist([dict(row) for row in rows], SCHEMA)
        table = table.append_column(pyarrow.field("jpg", pyarrow.binary()), [pictures])
        parquet.write_table(table, root / f"{shard}.parquet", row_group_size=2)
        return
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], SCHEMA), root / f"{shard}.parquet")
    files = {}
    for row in here:
        files[f"{row['key']}.jpg"] = drawn(row["key"])
        files[f"{row['key']}.txt"] = (row["caption"] or "").encode()
        files[f"{row['key']}.json"] = json.dumps(row, indent=4).encode()
    if format == "files":
        (root / shard).mkdir()
        for name, content in files.items():
            (root / shard / name).write_bytes(content)
    else:
        write_tar(root / f"{shard}.tar", files)
    (root / f"{shard}_stats.json").write_text("{}")


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def items(path: Path) -> dict[str, Item]:
    """Return the items of a source by key; none is rejected."""
    read, rejected = split_rejected(open_source("img2dataset", path, None).items())
    assert rejected == []
    return {item.key: item for item in read}


@pytest.mark.parametrize("format", FORMATS)
def test_every_row_is_an_item_and_those_that_succeeded_have_a_picture(tmp_path: Path, format: str) -> None:
    keys = [f"0000000{number:02}" for number in range(5)]
    rows = [sample(keys[0]), failed(keys[1]), sample(keys[2], None), sample(keys[3], " ü夜 "), sample(keys[4])]
    write(tmp_path, format, "00000", rows)
    write(tmp_path, format, "00001", [sample("000010000")])
    read = items(tmp_path)
    assert list(read) == [*(f"00000/{key}" for key in keys), "00001/000010000"]
    fox = read["00000/000000000"]
    assert (fox.prompt, fox.source, fox.width, fox.height) == ("a fox", "https://example.org/000000000.png", 96, 64)
    assert fox.extra == {"similarity": 0.3, "original_width": 1200, "original_height": 800, "sha256": "00ff"}
    lost = read["00000/000000001"]
    assert (lost.prompt, lost.source, lost.picture) == ("a lost fox", "https://example.org/000000001.png", None)
    assert lost.extra["status"] == "failed_to_download"
    assert lost.extra["error_message"] == "HTTP Error 404: Not Found"
    assert read["00000/000000002"].prompt is None
    assert read["00000/000000003"].prompt == "ü夜"
    for key in (keys[0], *keys[2:]):
        place = read[f"00000/{key}"].picture
        assert place is not None
        assert pickle.loads(pickle.dumps(place)).read() == drawn(key)
        assert place.file == (f"00000/{key}.jpg" if format == "files" else None)


@pytest.mark.parametrize("format", ["files", "webdataset"])
@pytest.mark.parametrize("table", ["none", "truncated", "empty"])
def test_without_their_table_pictures_speak_for_themselves(tmp_path: Path, format: str, table: str) -> None:
    write(tmp_path, format, "00000", [sample("000000000"), failed("000000001"), sample("000000002", "a cat")])
    write(tmp_path, format, "00001", [sample("000010000", "a dog")])
    path = tmp_path / "00000.parquet"
    if table == "none":
        path.unlink()
    else:
        path.write_bytes(b"" if table == "empty" else path.read_bytes()[:-50])
    read, rejected = split_rejected(open_source("img2dataset", tmp_path, None).items())
    assert [(item.key, item.prompt) for item in read] == [
        ("00000/000000000", "a fox"), ("00000/000000002", "a cat"), ("00001/000010000", "a dog"),
    ]  # fmt: skip
    assert read[0].source == "https://example.org/000000000.png"
    assert read[0].extra["similarity"] == 0.3
    assert [rejection.where for rejection in rejected] == ([] if table == "none" else ["00000.parquet"])


def test_a_caption_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "000000000.webp").write_bytes(as_bytes(picture(), "WEBP"))
    (tmp_path / "00000" / "000000000.txt").write_text("a cat, 夜", encoding="utf-8")
    [item] = items(tmp_path).values()
    assert (item.prompt, item.source) == ("a cat, 夜", "00000/000000000")


@pytest.mark.parametrize("content", [b'{"caption": ', b"[]", b"\xff", b"[" * 100_000, b" " * 2_000_000])
def test_a_broken_json_costs_neither_caption_nor_picture(tmp_path: Path, content: bytes) -> None:
    write_tar(tmp_path / "00000.tar", {"1.json": content, "1.jpg": drawn("001"), "1.txt": b"a cat"})
    [item], [rejected] = split_rejected(open_source("img2dataset", tmp_path, None).items())
    assert (item.key, item.prompt) == ("00000/1", "a cat")
    assert rejected.where == "00000/1"
    assert rejected.reason.startswith("its .json: ")


def test_a_truncated_archive_is_read_up_to_the_damage(tmp_path: Path) -> None:
    keys = [f"00000000{number}" for number in range(4)]
    write(tmp_path, "webdataset", "00000", [sample(key) for key in keys])
    write(tmp_path, "webdataset", "00001", [sample("000010000")])
    path = tmp_path / "00000.tar"
    whole = path.read_bytes()
    third = whole.index(keys[2].encode())
    for cut in (third + 1000, third + 100, third):  # within the picture, its header, and between two members
        path.write_bytes(whole[:cut])
        read, [rejected] = split_rejected(open_source("img2dataset", tmp_path, None).items())
        assert rejected.where == "00000.tar"
        assert [item.picture is not None for item in read] == [True, True, False, False, True]
        assert [item.prompt for item in read] == ["a fox"] * 5


@pytest.mark.parametrize("content", [b"", b"no archive" * 100, bytes(10_240), b"\x1f\x8b" * 600])
def test_invalid_archives_are_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "00000.tar").write_bytes(content)
    write(tmp_path, "webdataset", "00001", [sample("000010000")])
    read, rejected = split_rejected(open_source("img2dataset", tmp_path, None).items())
    assert [item.key for item in read] == ["00001/000010000"]
    assert [rejection.where for rejection in rejected] == ([] if content == bytes(10_240) else ["00000.tar"])


def test_damage_between_members_is_reported(tmp_path: Path) -> None:
    files = {"1.jpg": drawn("001"), "2.jpg": drawn("002"), "3.jpg": drawn("003")}
    path = write_tar(tmp_path / "00000.tar", files)
    content = bytearray(path.read_bytes())
    header = content.index(b"2.jpg")
    content[header : header + 512] = b"\xaa" * 512
    path.write_bytes(content)
    read, [rejected] = split_rejected(open_source("img2dataset", tmp_path, None).items())
    assert [item.key for item in read] == ["00000/1"]
    assert "no proper end" in rejected.reason


def test_member_names_cannot_leave_the_archive_and_repeated_names_count_once(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(drawn("009"))
    root = tmp_path / "data"
    root.mkdir()
    with tarfile.open(root / "00000.tar", "w") as archive:
        for name, content in (
            ("../secret.jpg", drawn("001")), ("/etc/2.jpg", drawn("002")), ("夜.jpg", drawn("003")),
            ("夜.jpg", drawn("004")), ("夜.png", drawn("005")),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for type in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("link.jpg")
            member.type, member.linkname = type, "../secret.jpg"
            archive.addfile(member)
    read = items(root)
    assert list(read) == ["00000/../secret", "00000//etc/2", "00000/夜"]
    pictures = [item.picture.read() for item in read.values() if item.picture]
    assert pictures == [drawn("001"), drawn("002"), drawn("003")]


def test_a_row_names_no_file_outside_its_shard(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(drawn("009"))
    write(tmp_path / "data", "files", "00000", [sample("000000000"), failed("../../secret")])
    inside, outside = items(tmp_path / "data").values()
    assert inside.picture is not None
    assert outside.picture is None


def test_a_missing_picture_leaves_its_row(tmp_path: Path) -> None:
    write(tmp_path, "files", "00000", [sample("000000000")])
    (tmp_path / "00000" / "000000000.jpg").unlink()
    [item] = items(tmp_path).values()
    assert (item.prompt, item.picture) == ("a fox", None)


def test_a_cell_without_a_picture_is_the_decoders_to_tell_of(tmp_path: Path) -> None:
    rows = [sample("000000000"), sample("000000001")]
    write(tmp_path, "parquet", "00000", rows)
    table = parquet.read_table(tmp_path / "00000.parquet").drop_columns(["jpg"])
    table = table.append_column(pyarrow.field("jpg", pyarrow.binary()), [[None, drawn("001")]])
    parquet.write_table(table, tmp_path / "00000.parquet")
    empty, good = items(tmp_path).values()
    assert empty.picture is not None
    assert good.picture is not None
    with pytest.raises(PictureError, match="there is no picture in this row"):
        empty.picture.read()
    open_picture(good.picture.read())


def test_settings_among_the_columns_are_settings(tmp_path: Path) -> None:
    table = pyarrow.table({"url": ["u"], "seed": ["5"], "steps": ["many"], "score": [float("nan")], "blob": [b"x"]})
    parquet.write_table(table, tmp_path / "00000.parquet")
    [item] = items(tmp_path).values()
    assert (item.key, item.settings, item.extra) == ("00000/row 0", {"seed": 5}, {"steps": "many"})


def test_shards_come_by_number(tmp_path: Path) -> None:
    for shard in ("100000", "00002", "00010"):
        write_tar(tmp_path / f"{shard}.tar", {"1.jpg": drawn("001")})
    assert list(items(tmp_path)) == ["00002/1", "00010/1", "100000/1"]


def test_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no shards: neither 00000/ nor 00000\.tar nor 00000\.parquet"):
        open_source("img2dataset", tmp_path, None)
    (tmp_path / "00000.tar").touch()
    with pytest.raises(SourceError, match="is not a folder: name img2dataset's output folder"):
        open_source("img2dataset", tmp_path / "00000.tar", None)


@pytest.mark.parametrize("format", FORMATS)
def test_img2dataset_is_searched(tmp_path: Path, format: str) -> None:
    rows = [sample("000000000"), failed("000000001"), sample("000000002", "a red boat")]
    write(tmp_path / "data", format, "00000", rows)
    with built(tmp_path, "img2dataset", tmp_path / "data") as search:
        assert search.collection.manifest.counts == {
            "prompts": 3, "images": 3, "image_vectors": 2, "quarantined": 0,
        }  # fmt: skip
        assert search.prompt("a lost fox").text == "a lost fox"
        read = search.image(open_picture(drawn("000000002")))
        assert read.source == "https://example.org/000000002.png"
        [prompt] = search.collection.prompts_of([read]).values()
        assert prompt.text == "a red boat"


def test_a_member_of_negative_size_ends_only_its_archive(tmp_path: Path) -> None:
    write(tmp_path, "webdataset", "00000", [sample("000000000"), sample("000000001")])
    (tmp_path / "00000.parquet").unlink()
    content = bytearray((tmp_path / "00000.tar").read_bytes())
    second = content.rindex(b"000000001.jpg")
    header = content[second : second + tarfile.BLOCKSIZE]
    header[124:136] = (2**96 - 5).to_bytes(12, "big")  # GNU's form of -5
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[second : second + tarfile.BLOCKSIZE] = header
    (tmp_path / "00000.tar").write_bytes(content)
    read, rejected = split_rejected(open_source("img2dataset", tmp_path, None).items())
    assert [item.key for item in read] == ["00000/000000000"]
    assert "000000001.jpg has a size of -5 bytes" in rejected[0].reason
