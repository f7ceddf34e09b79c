"""Read Parquet files: their rows as a stream, and single cells that hold a picture.

Damage costs the rows of one row group, and a cell that Python cannot hold, such as a time after the year 9999, itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from pyarrow import parquet

from promptsearch.errors import PictureError, SourceError, one_line
from promptsearch.metadata.text_decoding import decode_text
from promptsearch.system.files import require_regular

from .. import Rejected
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


class Row(NamedTuple):
    """One row: its cells by column, without those that cannot be read, which `problems` names."""

    number: int  # in the file
    place: int  # in its row group
    cells: Mapping[str, Any]
    problems: Sequence[str] = ()

    def rejections(self, where: str) -> Iterator[Rejected]:
        """Yield a rejection for each cell that cannot be read."""
        return (Rejected(where, f"{problem}; the rest of the row is kept") for problem in self.problems)


@dataclass(frozen=True)
class Batch:
    """At most ROWS rows of one row group."""

    group: int
    start: int  # number of the first row in the file
    place: int  # number of the first row in the group
    table: Any  # pyarrow.RecordBatch

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        try:
            rows = self.table.to_pylist()
        except Exception:  # some cell cannot be converted
            yield from map(self._row, range(len(self.table)))
        else:
            for number, cells in enumerate(rows):
                yield Row(self.start + number, self.place + number, cells)

    def _row(self, number: int) -> Row:
        cells: dict[str, Any] = {}
        problems = []
        for name, column in zip(self.table.schema.names, self.table.columns, strict=True):
            try:
                cells[name] = _value(column[number])
            except Exception as error:  # each type has exceptions of its own
                problems.append(f"its {name} cannot be read: {one_line(error)}")
        return Row(self.start + number, self.place + number, cells, tuple(problems))


def _value(cell: Any) -> Any:
    """Return a cell as Python's value; else as text, such as a time that Python cannot hold."""
    try:
        return cell.as_py()
    except Exception:
        if pyarrow.types.is_string(cell.type) or pyarrow.types.is_large_string(cell.type):
            return decode_text(cell.as_buffer().to_pybytes())
        return cell.cast(pyarrow.string()).as_py()


def batches(path: Path, columns: Sequence[str]) -> Iterator[Batch | Rejected]:
    """Yield the rows in batches, in order, and a rejection for each row group that is damaged.

    Raises SourceError if the file cannot be read as Parquet.
    """
    try:
        require_regular(path)
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, error) from error
    with file:
        start = 0
        for group in range(file.num_row_groups):
            read, size = 0, file.metadata.row_group(group).num_rows
            try:
                for table in file.iter_batches(ROWS, row_groups=[group], columns=list(columns)):
                    yield Batch(group, start + read, read, table)
                    read += len(table)
            except (OSError, pyarrow.ArrowException) as error:
                reason = f"these rows cannot be read as Parquet: {one_line(error)}"
                yield Rejected(f"{path.name} rows {start + read} to {start + size - 1}", reason)
            start += size


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
