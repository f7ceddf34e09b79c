from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from builder.sources import Rejected
from builder.sources.inputs.tables import Row, batches, columns_of
from promptsearch.errors import SourceError

YEAR_12000 = 316_516_204_800 * 10**6  # microseconds since 1970


def rows(path: Path) -> list[Row | Rejected]:
    found: list[Row | Rejected] = []
    for batch in batches(path, columns_of(path)):
        found += [batch] if isinstance(batch, Rejected) else batch.rows()
    return found


def test_rows_come_in_order_with_their_places(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"a": list(range(10_000))}), tmp_path / "t.parquet", row_group_size=6000)
    found = rows(tmp_path / "t.parquet")
    assert [row.cells["a"] for row in found if isinstance(row, Row)] == list(range(10_000))
    assert found[6001] == Row(6001, 1, {"a": 6001})


def test_cells_that_python_cannot_represent_keep_the_rest_of_the_row(tmp_path: Path) -> None:
    times = pyarrow.array([0, YEAR_12000, 0]).view(pyarrow.timestamp("us", tz="UTC"))
    encoded = pyarrow.array([b"fox", "schön".encode("cp1252"), "黒猫夜空".encode("gbk")])
    table = pyarrow.table({"time": times, "text": encoded.view(pyarrow.string()), "seed": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "t.parquet")
    one, far, foreign = rows(tmp_path / "t.parquet")
    assert one == Row(0, 0, {"time": datetime(1970, 1, 1, tzinfo=UTC), "text": "fox", "seed": 1})
    assert isinstance(far, Row)
    assert (far.cells["text"], far.cells["seed"], far.problems) == ("schön", 2, ())
    assert far.cells["time"].startswith("12000-")
    assert isinstance(foreign, Row)
    assert foreign.cells == {"time": datetime(1970, 1, 1, tzinfo=UTC), "seed": 3}
    [rejected] = foreign.rejections("t.parquet row 2")
    assert rejected.where == "t.parquet row 2"
    assert rejected.reason.startswith("its text cannot be read: the text's encoding is unknown")
    assert rejected.reason.endswith("; the rest of the row is kept")


def test_damage_costs_the_rows_of_its_group(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pyarrow.table({"a": [f"text {number} " * 50 for number in range(30)]})
    parquet.write_table(table, path, row_group_size=10, use_dictionary=False)
    with parquet.ParquetFile(path) as file:
        chunk = file.metadata.row_group(1).column(0)
        place = chunk.data_page_offset
    content = bytearray(path.read_bytes())
    content[place : place + 40] = b"\xff" * 40
    path.write_bytes(content)
    found = rows(path)
    assert [row.number for row in found if isinstance(row, Row)] == [*range(10), *range(20, 30)]
    [rejected] = [each for each in found if isinstance(each, Rejected)]
    assert rejected.where == "t.parquet rows 10 to 19"
    assert rejected.reason.startswith("these rows cannot be read as Parquet: ")


def test_invalid_parquet_files_raise_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"no table")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        next(batches(tmp_path / "t.parquet", ["a"]))
