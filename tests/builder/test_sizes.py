from __future__ import annotations

import pytest

from builder.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4 << 30), ("512m", 512 << 20), ("1.5 GB", 3 << 29), ("2GiB", 2 << 30), ("7B", 7), ("1T", 1 << 40)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "4", "G", "-1G", "4 bananas", "4GG", "1e3M", "0x4G"])
def test_invalid_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number with a unit, such as 4G"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (3 << 29, "1.5 GB"), (5000 << 40, "5000.0 TB")],
)
def test_sizes_are_written_in_their_unit(size: int, text: str) -> None:
    assert format_size(size) == text
