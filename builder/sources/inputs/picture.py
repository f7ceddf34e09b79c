"""The places of a source's pictures, which an item carries instead of their bytes."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from promptsearch.errors import PictureError, PictureTooLarge
from promptsearch.system.files import open_regular, read_regular, require_regular

MAX_BYTES = 2**28  # of one picture, encoded; decoders hold all of it in memory
# The errors that `zipfile` raises for damaged archives, such as ValueError for names that are not UTF-8.
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
_OPEN_ARCHIVES = 8  # that a process keeps open; archives are read one after the other


@dataclass(frozen=True)
class FilePicture:
    """A file at `file` below `root`."""

    root: Path
    file: str

    def read(self) -> bytes:
        """Return the file. Raises PictureError if it cannot be read, PictureTooLarge above MAX_BYTES."""
        try:
            content = read_regular(self.root / self.file, MAX_BYTES)
        except FileNotFoundError:
            raise PictureError("no such file") from None
        except (OSError, ValueError) as error:  # a folder, no permission; a name with a null character
            raise PictureError(f"the file cannot be read: {error}") from error
        require_size(len(content))
        return content


@dataclass(frozen=True)
class RememberedPicture(FilePicture):
    """A file that has not changed since its content's digest was computed, so it need not be read for that."""

    digest: bytes


@dataclass(frozen=True)
class ZipPicture:
    """A member of a zip archive. Each process opens the archive once."""

    archive: Path
    member: str
    file: None = None

    def read(self) -> bytes:
        """Return the member. Raises PictureError if it cannot be read, PictureTooLarge above MAX_BYTES."""
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
    """A picture within a file: `size` bytes from `offset`, such as a member of a tar archive."""

    path: Path
    offset: int
    size: int
    file: None = None

    def read(self) -> bytes:
        """Return the slice. Raises PictureError if it cannot be read, PictureTooLarge above MAX_BYTES."""
        require_size(self.size)
        try:
            with open_regular(self.path) as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise PictureError(f"{self.path.name} cannot be read: {error}") from error
        if len(data) < self.size:
            raise PictureError(f"{self.path.name} ends within this picture")
        return data


def is_file(path: Path) -> bool:
    """Return whether there is such a file; names that are too long for the file system name none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # ValueError: a null character
        return False


def require_size(size: int) -> None:
    """Raise PictureTooLarge for more than MAX_BYTES."""
    if size > MAX_BYTES:
        raise PictureTooLarge(f"the file has more than {MAX_BYTES >> 20} MB")


@lru_cache(_OPEN_ARCHIVES)
def _zip(path: Path) -> zipfile.ZipFile:
    require_regular(path)
    return zipfile.ZipFile(path)
