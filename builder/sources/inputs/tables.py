"""Read Parquet files: their rows as a stream, and single cells that hold a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from promptsearch.errors import PictureError, SourceError, one_line
from promptsearch.system.files import require_regular

from .picture import require_size

ROWS = 4096  # of a batch
_ROW_GROUPS = 2  # of pictures that a process keeps in memory


def columns_of(path: Path) -> Sequence[str]:
    """Return the names of the columns. Raises SourceError if the file cannot be read as Parquet."""
    try:
        require_regular(path)
        with parquet.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


def rows_in(path: Path) -> int:
    """Return the number of rows. Raises SourceError if the file cannot be read as Parquet."""
    try:
        require_regular(path)
        with parquet.ParquetFile(path) as file:
            return int(file.metadata.num_rows)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


def batches(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Yield the number of the row group and a record batch (at most ROWS rows of that group), in order.

    Raises SourceError if the file cannot be read as Parquet.
    """
    try:
        require_regular(path)
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(ROWS, row_groups=[group], columns=list(columns)):
                    yield group, batch
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


@dataclass(frozen=True)
class CellPicture:
    """A binary cell of a Parquet file.

    Parquet is read by whole row groups, so a process caches the last ones: reading pictures roughly in order reads
    each group once. img2dataset writes 100 rows a group, a few megabytes.
    """

    path: Path
    column: str
    group: int
    row: int  # within the group
    file: None = None

    def read(self) -> bytes:
        """Return the cell. Raises PictureError if it is null or cannot be read, PictureTooLarge if too large."""
        try:
            data = _cells(self.path, self.column, self.group)[self.row].as_buffer()
        except (OSError, pyarrow.ArrowException, IndexError) as error:
            raise PictureError(f"{self.path.name} cannot be read here: {error}") from error
        if data is None:
            raise PictureError("there is no picture in this row")
        require_size(data.size)
        return bytes(data)


@lru_cache(_ROW_GROUPS)
def _cells(path: Path, column: str, group: int) -> Any:
    require_regular(path)
    with parquet.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(0)


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} cannot be read as Parquet: {one_line(error)}")
