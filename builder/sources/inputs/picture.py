"""The places that a source's pictures are read from: what an item carries instead of the bytes."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from promptsearch.errors import PictureError, PictureTooLarge

MAX_BYTES = 2**28  # of one picture; decoders hold all of it in memory
# What `zipfile` raises for archives that are damaged, among them a ValueError for names that are no UTF-8.
DAMAGED = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
_OPEN_ARCHIVES = 8  # that a process keeps open; a source is read one after the other


@dataclass(frozen=True)
class FilePicture:
    """A file at `file` below `root`."""

    root: Path
    file: str

    def read(self) -> bytes:
        path = self.root / self.file
        try:
            require_size(path.stat().st_size)
            return path.read_bytes()
        except FileNotFoundError:
            raise PictureError("no such file") from None
        except (OSError, ValueError) as error:  # a folder, no permission; a name with a null character
            raise PictureError(f"the file cannot be read: {error}") from error


@dataclass(frozen=True)
class ZipPicture:
    """A member of a zip archive, which is opened once a process."""

    archive: Path
    member: str
    file: None = None

    def read(self) -> bytes:
        try:
            archive = _zip(self.archive)
            require_size(archive.getinfo(self.member).file_size)
            return archive.read(self.member)
        except KeyError:
            raise PictureError(f"{self.archive.name} has no such file") from None
        except DAMAGED as error:
            raise PictureError(f"{self.archive.name} is damaged here: {error}") from error


@dataclass(frozen=True)
class SlicePicture:
    """`size` bytes of a file from `offset`: a member of a tar archive, say, which then needs no second search."""

    path: Path
    offset: int
    size: int
    file: None = None

    def read(self) -> bytes:
        require_size(self.size)
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise PictureError(f"{self.path.name} cannot be read: {error}") from error
        if len(data) < self.size:
            raise PictureError(f"{self.path.name} ends within this picture")
        return data


def require_size(size: int) -> None:
    """Raises PictureTooLarge for more than MAX_BYTES."""
    if size > MAX_BYTES:
        raise PictureTooLarge(f"the file has more than {MAX_BYTES >> 20} MB")


@lru_cache(_OPEN_ARCHIVES)
def _zip(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
