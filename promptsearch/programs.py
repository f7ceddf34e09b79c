"""`prompt-search-service` and `prompt-search-builder`: always installed, although their dependencies are extras."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

HOW = "see docs/python-and-shell.md"


def service() -> None:
    """Run `prompt-search-service`."""
    _run("service")


def builder() -> None:
    """Run `prompt-search-builder`."""
    _run("builder")


def _run(program: str) -> None:
    """Run a program, or exit with one line if its extra is not installed.

    Its package is `promptsearch_<program>` if pip installed it and `<program>` in a checkout. It is imported by name:
    the library depends on neither program.
    """
    package = program if find_spec(f"promptsearch_{program}") is None else f"promptsearch_{program}"
    try:
        import_module(f"{package}.__main__").main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("promptsearch", package):
            raise
        sys.exit(f"error: the {program} needs {error.name}: install prompt-search[{program}]; {HOW}")
