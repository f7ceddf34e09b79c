from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.sources.inputs.rows import read_csv
from promptsearch.errors import SourceError
from promptsearch.metadata.values import moment, real, settings_of, typed, whole


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_come_with_the_line_they_end_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n"x\ny",3\n\n4,5\n')
    rows = list(read_csv(path, all_of=("a", "b")))
    assert rows == [(2, {"a": "1", "b": "2"}), (4, {"a": "x\ny", "b": "3"}), (6, {"a": "4", "b": "5"})]


def test_short_and_long_rows_are_rows(tmp_path: Path) -> None:
    [(_, short), (_, long)] = read_csv(write(tmp_path / "a.csv", "a,b\n1\n1,2,3\n"), all_of=("a", "b"))
    assert short == {"a": "1"}
    assert long == {"a": "1", "b": "2"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_texts_are_utf_8_with_or_without_a_mark(tmp_path: Path, encoding: str) -> None:
    [(_, row)] = read_csv(write(tmp_path / "a.csv", "prompt\nü☃🦊\n", encoding), all_of=("prompt",))
    assert row == {"prompt": "ü☃🦊"}


def test_a_row_in_an_unknown_encoding_is_an_error_and_the_next_one_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"prompt\n" + "schön\n".encode("cp1252") + "黒猫夜空\n".encode("gbk") + b"owl\n")
    (_, western), (line, unknown), (_, last) = read_csv(tmp_path / "a.csv", all_of=("prompt",))
    assert (western, last) == ({"prompt": "schön"}, {"prompt": "owl"})
    assert line == 3
    assert isinstance(unknown, ValueError)


def test_a_very_long_cell_is_a_cell(tmp_path: Path) -> None:
    [(_, row)] = read_csv(write(tmp_path / "a.csv", f"prompt\n{'x' * 1_000_000}\n"), all_of=("prompt",))
    assert not isinstance(row, Exception)
    assert len(row["prompt"]) == 1_000_000


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,c\n1,2\n")
    with pytest.raises(SourceError, match="has no column b, d; it needs a, b, d"):
        list(read_csv(path, all_of=("a", "b", "d")))
    with pytest.raises(SourceError, match="has none of the columns image, prompt"):
        list(read_csv(path, any_of=("image", "prompt")))


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_has_no_columns(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match="has no column prompt"):
        list(read_csv(tmp_path / "a.csv", all_of=("prompt",)))


def test_a_file_that_cannot_be_read_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_csv(tmp_path, all_of=("prompt",)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5", 5), (" 5 ", 5), ("-3", -3), ("+4", 4), ("5.0", 5), ("1e3", 1000), (7, 7), (7.0, 7), (2**63 - 1, 2**63 - 1),
     ("9223372036854775807", 2**63 - 1)],
)  # fmt: skip
def test_whole_numbers(value: Any, expected: int) -> None:
    assert whole(value) == expected


@pytest.mark.parametrize(
    "value", ["", "x", "1.5", 1.5, True, "inf", "nan", float("nan"), 2**63, "1" * 5000, [], "²", None]
)
def test_invalid_integers_raise_a_value_error_that_names_the_cell(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^seed: "):
        typed("seed", value, whole)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1660000000, "2022-08-08T23:06:40Z"), ("1660000000.5", "2022-08-08T23:06:40.500000Z"),
     ("2022-08-09T10:11:12+02:00", "2022-08-09T08:11:12Z"), ("2022-08-09 10:11:12", "2022-08-09T10:11:12Z"),
     ("2022-08-09", "2022-08-09T00:00:00Z")],
)  # fmt: skip
def test_moments_are_utc(value: Any, expected: str) -> None:
    assert moment(value) == expected


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.binary()


@given(value=anything, kind=st.sampled_from([whole, real, moment]))
def test_any_value_is_typed_or_a_value_error(value: Any, kind: Callable[[Any], Any]) -> None:
    try:
        result = typed("cell", value, kind)
    except ValueError as error:
        result = str(error).removeprefix("cell: ")
        assert result != str(error)  # noqa: PT017 - an error is one of the two outcomes
        result.encode()  # it goes to the quarantine file
    else:
        assert type(result) is type(kind("1"))


def test_settings_exclude_unknown_and_empty_cells() -> None:
    cells = {"seed": "1", "steps": "", "cfg_scale": None, "sampler": "k_lms", "other": "x"}
    assert settings_of(cells) == {"seed": 1, "sampler": "k_lms"}
