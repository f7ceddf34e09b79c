"""`prompt-search-service` and `prompt-search-builder`: always installed, although their dependencies are extras."""

from __future__ import annotations

import sys
from importlib import import_module

HOW = "see docs/python-and-shell.md"


def service() -> None:
    """Run `prompt-search-service`."""
    _run("service")


def builder() -> None:
    """Run `prompt-search-builder`."""
    _run("builder")


def _run(program: str) -> None:
    """Run a package's main function by name, as the library imports neither; exit with one line without its extra."""
    try:
        import_module(f"{program}.__main__").main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("promptsearch", program):
            raise
        sys.exit(f"error: the {program} needs {error.name}: install prompt-search[{program}]; {HOW}")
