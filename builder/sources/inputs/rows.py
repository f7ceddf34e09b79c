"""Read CSV files as streams of rows, detecting their encoding and delimiter."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from promptsearch.errors import SourceError
from promptsearch.metadata.text_decoding import decode_text
from promptsearch.metadata.values import SETTINGS, text
from promptsearch.system.files import open_regular

# More than the default of 128 KB, but not much more: an unclosed quote swallows rows up to this limit.
csv.field_size_limit(2**21)

Row = Mapping[str, str]
_DELIMITERS = (",", ";", "\t", "|")
_NO_DELIMITERS = ('"', " ", "\0")
_KNOWN = {"image", "prompt", "raw_data", "width", "height", *SETTINGS}  # columns whose case does not matter
_HEAD_BYTES = 2**16
_SHOWN = 40  # columns that an error lists, and characters of each
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class _Form:
    """The encoding and dialect of a CSV."""

    encoding: str
    delimiter: str
    has_sep_line: bool  # Excel's first line `sep=;`, which declares the delimiter


def read_csv(
    path: Path, *, all_of: Sequence[str] = (), any_of: Sequence[str] = ()
) -> Iterator[tuple[int, Row | Exception]]:
    """Yield the line number (of the row's last line) and the cells of each row; a short row has fewer cells.

    For a row that cannot be parsed or decoded, yield the error instead of the cells, and continue. Raises SourceError
    if the file cannot be read or columns are missing.
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
    """Count the lines of a file: one more than a CSV's rows, if no cell has a line break."""
    with open_regular(path) as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))


def _open(path: Path, form: _Form) -> TextIO:
    """Open a CSV as text; bytes that are not UTF-8 become surrogates, which `_decoded` decodes cell by cell."""
    errors = "surrogateescape" if form.encoding.startswith("utf-8") else "replace"
    return path.open(newline="", encoding=form.encoding, errors=errors)


def _form(path: Path) -> _Form:
    with open_regular(path) as file:
        head = file.read(_HEAD_BYTES)
    encoding = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), "utf-8")
    if encoding == "utf-8" and 0 in head[:2]:  # the upper half of an ASCII character
        encoding = "utf-16-le" if head[0] else "utf-16-be"
    lines = head.decode(encoding, "replace").splitlines()[:2]
    first = lines[0] if lines else ""
    if (
        first.lower().startswith("sep=")
        and len(first) == 5
        and not first[4].isalnum()
        and first[4] not in _NO_DELIMITERS
    ):
        return _Form(encoding, first[4], has_sep_line=True)
    return _Form(encoding, max(_DELIMITERS, key=lambda delimiter: _fit(first, delimiter)), has_sep_line=False)


def _fit(header: str, delimiter: str) -> tuple[int, int]:
    """Return how many known columns the header has with this delimiter, and how many in all."""
    names = _names(next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), []))
    return len(_KNOWN.intersection(names)), len(names)


def _reader(file: Iterable[str], form: _Form) -> Any:
    reader = csv.reader(file, delimiter=form.delimiter, skipinitialspace=True)
    if form.has_sep_line:
        next(reader)
    return reader


def _names(header: Sequence[str]) -> list[str]:
    """Return the column names without surrounding whitespace; known columns in lower case."""
    names = (_decoded_loosely(name).strip() for name in header)
    return [name.lower() if name.lower() in _KNOWN else name for name in names]


def _require(path: Path, header: Sequence[str], all_of: Sequence[str], any_of: Sequence[str]) -> None:
    columns = set(header)
    actual = f"found {', '.join(repr(name[:_SHOWN]) for name in header[:_SHOWN]) or 'none'}"
    if missing := set(all_of) - columns:
        raise SourceError(f"{path} has no column {', '.join(sorted(missing))}; it needs {', '.join(all_of)}; {actual}")
    if any_of and not columns.intersection(any_of):
        raise SourceError(f"{path} has none of the columns {', '.join(any_of)}; {actual}")


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


def _decoded_loosely(name: str) -> str:
    try:
        return _decoded(name)
    except ValueError:
        return text(name)


def _decoded(cell: str) -> str:
    """Return a cell, decoding bytes that were not UTF-8. Raises ValueError if their encoding is unknown."""
    if cell.isascii():
        return cell
    try:
        cell.encode()
    except UnicodeEncodeError:
        return decode_text(cell.encode("utf-8", "surrogateescape"))
    return cell
