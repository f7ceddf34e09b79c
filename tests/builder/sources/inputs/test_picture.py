from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from builder.sources.inputs.picture import MAX_BYTES, FilePicture, SlicePicture, ZipPicture
from builder.sources.inputs.tables import CellPicture
from promptsearch.errors import PictureError, PictureTooLarge


def test_a_file_is_read_below_its_root(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert FilePicture(tmp_path, "a").read() == b"content"
    for name, reason in (("b", "no such file"), (".", "cannot be read"), ("a\0b", "cannot be read")):
        with pytest.raises(PictureError, match=reason):
            FilePicture(tmp_path, name).read()


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for picture in (FilePicture(tmp_path, "a"), SlicePicture(tmp_path / "a", 0, MAX_BYTES + 1)):
        with pytest.raises(PictureTooLarge, match="more than 256 MB"):
            picture.read()


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a", "w") as member:
        for _ in range(257):
            member.write(bytes(2**20))
    with pytest.raises(PictureTooLarge):
        ZipPicture(path, "a").read()


def test_members_are_read_from_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    contents = {str(number): bytes([number]) * 50_000 for number in range(50)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda name: ZipPicture(path, name).read(), contents))
    assert read == list(contents.values())
    with pytest.raises(PictureError, match=r"a\.zip has no such file"):
        ZipPicture(path, "no").read()


def test_an_archive_that_is_gone_is_a_picture_error(tmp_path: Path) -> None:
    for picture in (
        ZipPicture(tmp_path / "a.zip", "a"),
        SlicePicture(tmp_path / "a.tar", 0, 1),
        CellPicture(tmp_path / "a.parquet", "jpg", 0, 0),
    ):
        with pytest.raises(PictureError):
            picture.read()


def test_a_slice_is_whole_or_a_picture_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert SlicePicture(tmp_path / "a", 2, 3).read() == b"234"
    with pytest.raises(PictureError, match="a ends within this picture"):
        SlicePicture(tmp_path / "a", 8, 3).read()


def test_cells_are_read_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    cells = [b"%d" % number for number in range(10)]
    parquet.write_table(pyarrow.table({"jpg": cells}), path, row_group_size=3)
    for number in (9, 0, 5, 1, 8):
        assert CellPicture(path, "jpg", *divmod(number, 3)).read() == cells[number]
    for place in ((9, 0), (0, 3)):
        with pytest.raises(PictureError, match=r"a\.parquet cannot be read here"):
            CellPicture(path, "jpg", *place).read()
