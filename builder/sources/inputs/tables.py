"""Parquet files: their rows as a stream, and single cells that hold a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from promptsearch.errors import PictureError, SourceError, one_line

from .picture import require_size

ROWS = 4096  # at once in memory
_ROW_GROUPS = 2  # of pictures, that a process keeps in memory


def columns_of(path: Path) -> Sequence[str]:
    """Raises SourceError where this is no Parquet file."""
    try:
        with parquet.ParquetFile(path) as file:
            return list(file.schema_arrow.names)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


def rows_in(path: Path) -> int:
    """Raises SourceError where this is no Parquet file."""
    try:
        with parquet.ParquetFile(path) as file:
            return int(file.metadata.num_rows)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


def batches(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Row group and record batch (at most ROWS of one group), in order. Raises SourceError where it cannot be read."""
    try:
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(ROWS, row_groups=[group], columns=list(columns)):
                    yield group, batch
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error


@dataclass(frozen=True)
class CellPicture:
    """A binary cell of a Parquet file.

    Parquet is read by whole row groups, so a process keeps the last ones: pictures that are read about in order cost
    one read of their file. img2dataset writes 100 rows a group, a few megabytes.
    """

    path: Path
    column: str
    group: int
    row: int  # within the group
    file: None = None

    def read(self) -> bytes:
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
    with parquet.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(0)


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} cannot be read as Parquet: {one_line(error)}")
