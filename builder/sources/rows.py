"""CSV files as streams of rows, and cells of whatever comes from outside as values that a collection can hold."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from promptsearch.errors import SourceError

# A cell may be longer than the default's 128 KB, but not much: a quote that is never closed swallows rows up to here.
csv.field_size_limit(2**21)

Row = Mapping[str, str]


def read_csv(
    path: Path, *, all_of: Sequence[str] = (), any_of: Sequence[str] = ()
) -> Iterator[tuple[int, Row | csv.Error]]:
    """Line number (of the row's last line) and cells of each row; cells that a short row lacks are not among them.

    A row that cannot be parsed comes as its error and the next one follows. Raises SourceError where the file cannot
    be read or columns are missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            columns = set(header)
            if missing := set(all_of) - columns:
                raise SourceError(f"{path} has no column {', '.join(sorted(missing))}; it needs {', '.join(all_of)}")
            if any_of and not columns.intersection(any_of):
                raise SourceError(f"{path} has none of the columns {', '.join(any_of)}")
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield reader.line_num, error
                    continue
                if cells is None:
                    return
                if cells:
                    yield reader.line_num, dict(zip(header, cells, strict=False))
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def columns_of_csv(path: Path) -> set[str]:
    """Raises SourceError where it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return set(next(csv.reader(file), []))
    except (OSError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def count_lines(path: Path) -> int:
    """The lines of a file; a CSV has as many rows but its header, where no cell has a line break."""
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))
