"""Test the values of arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli.arguments import collection_folder, count, share, size, spark_setting
from promptsearch.errors import BuildError


def test_values_are_parsed() -> None:
    assert size("512M") == 512 << 20
    assert share("0.5") == 0.5
    assert share("1") == 1.0
    assert count("0") == 0
    assert spark_setting("spark.a=b=c") == ("spark.a", "b=c")


@pytest.mark.parametrize(
    ("parse", "texts"),
    [
        (size, ["4 bananas", "-1G", ""]),
        (share, ["0", "1.01", "nan", "x"]),
        (count, ["-1", "1.5", ""]),
        (spark_setting, ["executor.memory=1g", "spark.a", "=b"]),
    ],
)
def test_other_values_are_usage_errors(parse: Callable[[str], object], texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError, match=r"expected|write a number"):
            parse(text)


def test_a_collection_is_a_folder_of_the_indices() -> None:
    folder = collection_folder(argparse.Namespace(indices=Path("indices"), collection="mine"))
    assert folder == Path("indices/mine")
    for name in ("", ".", "..", "a/b", ".hidden"):
        with pytest.raises(BuildError, match="a collection's name is that of a folder in indices"):
            collection_folder(argparse.Namespace(indices=Path("indices"), collection=name))
