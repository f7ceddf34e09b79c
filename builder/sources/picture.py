"""The places that a source's pictures are read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptsearch.errors import PictureError, PictureTooLarge

MAX_BYTES = 2**28  # of one picture; decoders hold all of it in memory


@dataclass(frozen=True)
class FilePicture:
    """A file at `file` below `root`."""

    root: Path
    file: str

    def read(self) -> bytes:
        path = self.root / self.file
        try:
            if path.stat().st_size > MAX_BYTES:
                raise PictureTooLarge(f"the file has more than {MAX_BYTES >> 20} MB")
            return path.read_bytes()
        except FileNotFoundError:
            raise PictureError("no such file") from None
        except (OSError, ValueError) as error:  # a folder, no permission; a name with a null character
            raise PictureError(f"the file cannot be read: {error}") from error
