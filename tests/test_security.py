"""What SECURITY.md claims is held by tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.workspace import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!threat|-)(.+?) \| (.+?) \| `(tests/.+?)` \|$", PAGE, re.MULTILINE)


def test_every_row_of_the_table_names_a_test() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| threat")]
    assert len(table) == len(ROWS) > 10


@pytest.mark.parametrize("test", [test for _, _, test in ROWS])
def test_each_test_of_the_table_exists(test: str) -> None:
    path, _, name = test.partition("::")
    functions = [
        node.name for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]  # fmt: skip
    assert functions
    assert not name or name in functions
