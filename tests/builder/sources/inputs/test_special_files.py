"""Pipes and devices where files are expected: a build ends, and takes no more memory than for a large file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.sources import Rejected, open_source
from builder.sources.inputs import picture as pictures
from builder.sources.inputs.picture import FilePicture, SlicePicture, ZipPicture
from builder.sources.inputs.rows import count_lines, read_csv
from builder.sources.inputs.sidecars import read_sidecar, sidecars_of
from builder.sources.inputs.tables import CellPicture, columns_of
from builder.sources.inputs.tree import pictures_below
from promptsearch.encoding.image_io import open_picture
from promptsearch.errors import PictureError, PictureTooLarge, SourceError
from promptsearch.metadata import read_generation
from promptsearch.system.files import open_regular, read_regular
from tests.support.drawing import as_bytes, picture

pytestmark = pytest.mark.timeout(60)  # what opens a pipe waits for ever


@pytest.fixture(params=["pipe", "device", "link to a device"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a file that never ends: a pipe, a device, or a link to one."""
    path = tmp_path / "special"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        return Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    return path


def test_only_regular_files_are_opened(special: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(special)
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"content"
    assert read_regular(tmp_path / "file", 3) == b"cont"


def test_every_reader_refuses_them(special: Path) -> None:
    for place in (
        FilePicture(special.parent, special.name),
        SlicePicture(special, 0, 10),
        ZipPicture(special, "a.png"),
        CellPicture(special, "image", 0, 0),
    ):
        with pytest.raises(PictureError, match="not a regular file"):
            place.read()
    with pytest.raises(PictureError):
        open_picture(special)
    with pytest.raises(ValueError, match="cannot be read"):
        read_sidecar(special)
    for read in (columns_of, lambda path: list(read_csv(path))):
        with pytest.raises(SourceError, match="not a regular file"):
            read(special)
    with pytest.raises(OSError, match="not a regular file"):
        count_lines(special)
    assert read_generation(special) is None


def test_a_file_that_grows_is_read_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 1000)
    (tmp_path / "a.png").write_bytes(bytes(1001))
    with pytest.raises(PictureTooLarge):
        FilePicture(tmp_path, "a.png").read()
    (tmp_path / "a.png").write_bytes(bytes(1000))
    assert len(FilePicture(tmp_path, "a.png").read()) == 1000


def test_a_folder_with_pipes_is_built_from_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(as_bytes(picture()))
    for name in ("a.txt", "b.png", "c", "d.jpg", "e.json"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "f.png").symlink_to("/dev/zero")
    assert list(sidecars_of(tmp_path / "a.png")) == []
    names = [place for place in pictures_below(tmp_path) if not isinstance(place, Rejected)]
    assert "a.png" in names
    source = open_source("folder", tmp_path, None)
    read, refused = [], []
    for item in source.items():
        if not isinstance(item, Rejected) and item.picture is not None:
            try:
                item.picture.read()
            except PictureError as error:
                refused.append(str(error))
            else:
                read.append(item.key)
    assert read == ["a.png"]
    assert all("not a regular file" in reason for reason in refused)
