"""`prompt-search-service` and `prompt-search-builder`: always installed, although their dependencies are extras."""

from __future__ import annotations

import sys
from importlib import import_module

from promptsearch.system.packages import package_of

HOW = "see docs/python-and-shell.md"


def service() -> None:
    """Run `prompt-search-service`."""
    _run("service")


def builder() -> None:
    """Run `prompt-search-builder`."""
    _run("builder")


def _run(program: str) -> None:
    """Run a program, or exit with one line if its extra is not installed.

    It is imported by name: the library depends on neither program.
    """
    package = package_of(program)
    try:
        import_module(f"{package}.__main__").main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("promptsearch", package):
            raise
        sys.exit(f"error: the {program} needs {error.name}: install prompt-search[{program}]; {HOW}")
