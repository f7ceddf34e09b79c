"""CSV files as streams of rows, in whatever encoding and with whatever delimiter they were saved."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from promptsearch.errors import SourceError
from promptsearch.metadata.text_decoding import decode_text
from promptsearch.metadata.values import SETTINGS

# A cell may be longer than the default's 128 KB, but not much: a quote that is never closed swallows rows up to here.
csv.field_size_limit(2**21)

Row = Mapping[str, str]
_DELIMITERS = (",", ";", "\t", "|")
_KNOWN = {"image", "prompt", "raw_data", "width", "height", *SETTINGS}  # columns whose case does not matter
_HEAD_BYTES = 2**16
_SHOWN = 40  # columns that an error names, and letters of each
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class _Form:
    """How a CSV is to be read."""

    encoding: str
    delimiter: str
    has_sep_line: bool  # Excel's first line `sep=;`, which says what the delimiter is


def read_csv(
    path: Path, *, all_of: Sequence[str] = (), any_of: Sequence[str] = ()
) -> Iterator[tuple[int, Row | Exception]]:
    """Yield line number (of the row's last line) and cells of each row, without the cells that a short row lacks.

    A row that cannot be parsed or decoded comes as its error and the next one follows. Raises SourceError if the file
    cannot be read or columns are missing.
    """
    try:
        form = _form(path)
        with _open(path, form) as file:
            reader = _reader(file, form)
            header = _names(next(reader, []))
            _require(path, header, all_of, any_of)
            yield from _rows(reader, header)
    except (OSError, csv.Error, UnicodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def columns_of_csv(path: Path) -> set[str]:
    """Return the names of the columns. Raises SourceError if the file cannot be read."""
    try:
        form = _form(path)
        with _open(path, form) as file:
            return set(_names(next(_reader(file, form), [])))
    except (OSError, csv.Error, UnicodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def count_lines(path: Path) -> int:
    """Count the lines of a file; a CSV has as many rows but its header, if no cell has a line break."""
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))


def _open(path: Path, form: _Form) -> TextIO:
    """Bytes that are no UTF-8 are kept, for `_decoded`."""
    errors = "surrogateescape" if form.encoding.startswith("utf-8") else "replace"
    return path.open(newline="", encoding=form.encoding, errors=errors)


def _form(path: Path) -> _Form:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    encoding = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), "utf-8")
    if encoding == "utf-8" and 0 in head[:2]:  # half of the first letter
        encoding = "utf-16-le" if head[0] else "utf-16-be"
    lines = head.decode(encoding, "replace").splitlines()[:2]
    first = lines[0] if lines else ""
    if first.lower().startswith("sep=") and len(first) == 5:
        return _Form(encoding, first[4], has_sep_line=True)
    return _Form(encoding, max(_DELIMITERS, key=lambda delimiter: _fit(first, delimiter)), has_sep_line=False)


def _fit(header: str, delimiter: str) -> tuple[int, int]:
    """How many known columns a delimiter makes of the header, and how many in all. Of equal ones the first is taken."""
    names = _names(next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), []))
    return len(_KNOWN.intersection(names)), len(names)


def _reader(file: Iterable[str], form: _Form) -> Any:
    reader = csv.reader(file, delimiter=form.delimiter, skipinitialspace=True)
    if form.has_sep_line:
        next(reader)
    return reader


def _names(header: Sequence[str]) -> list[str]:
    """Without blanks around them; those of known columns in lower case."""
    names = (name.strip() for name in header)
    return [name.lower() if name.lower() in _KNOWN else name for name in names]


def _require(path: Path, header: Sequence[str], all_of: Sequence[str], any_of: Sequence[str]) -> None:
    columns = set(header)
    found = f"found {', '.join(repr(name[:_SHOWN]) for name in header[:_SHOWN]) or 'none'}"
    if missing := set(all_of) - columns:
        raise SourceError(f"{path} has no column {', '.join(sorted(missing))}; it needs {', '.join(all_of)}; {found}")
    if any_of and not columns.intersection(any_of):
        raise SourceError(f"{path} has none of the columns {', '.join(any_of)}; {found}")


def _rows(reader: Any, header: Sequence[str]) -> Iterator[tuple[int, Row | Exception]]:
    while True:
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield reader.line_num, dict(zip(header, map(_decoded, cells), strict=False))
        except (csv.Error, ValueError) as error:
            yield reader.line_num, error


def _decoded(cell: str) -> str:
    """A cell whose bytes were no UTF-8 in the encoding that they are in. Raises ValueError if that is unknown."""
    if cell.isascii():
        return cell
    try:
        cell.encode()
    except UnicodeEncodeError:
        return decode_text(cell.encode("utf-8", "surrogateescape"))
    return cell
