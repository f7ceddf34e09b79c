"""Every test has an assertion that can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
# Calls that fail a test: of pytest, numpy.testing and Playwright; and of tests/, its checks, which assert
# themselves; of the product, what raises if a requirement is not met.
FAILING = re.compile(r"raises|warns|fail|(assert|expect|wait_for|_?check|require)(_\w+)?|shows|(scroll|wait)_until")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    """Yield every test and every check below tests/, with its place."""
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function) and (node.name.startswith("test_") or FAILING.fullmatch(node.name)):
                yield f"{path.relative_to(TESTS)}:{node.lineno} {node.name}", node


def can_fail(expression: ast.expr) -> bool:
    """Return whether an asserted expression is more than a constant, and more than a default that is true."""
    if isinstance(expression, ast.Call) and getattr(expression.func, "attr", "") == "get":
        return not any(isinstance(default, ast.Constant) and default.value for default in expression.args[1:])
    return not isinstance(expression, ast.Constant | ast.Tuple)


def asserts(function: Function) -> bool:
    """Return whether something in a function can fail a test."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and can_fail(node.test):
            return True
        if isinstance(node, ast.Raise) and "AssertionError" in ast.unparse(node):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if FAILING.fullmatch(called):
                return True
    return False


def test_every_test_and_every_check_can_fail() -> None:
    checked = dict(functions())
    assert len(checked) > 100
    assert [place for place, function in checked.items() if not asserts(function)] == []


def test_an_assertion_that_cannot_fail_counts_as_none() -> None:
    for weak in ("assert True", "assert (1, 'text')", "assert answer.get('results', True)", "answer.get('results')"):
        [function] = ast.parse(f"def test() -> None:\n {weak}").body
        assert isinstance(function, Function)
        assert not asserts(function), weak
