"""`prompt-search-service` and `prompt-search-builder`, which the package installs without what they need beyond it."""

from __future__ import annotations

import sys
from importlib import import_module

HOW = "docs/python-and-shell.md says how"


def service() -> None:
    _run("service")


def builder() -> None:
    _run("builder")


def _run(program: str) -> None:
    """By its name, as nothing here imports it; ends with one line where its extra is not installed."""
    try:
        import_module(f"{program}.__main__").main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("promptsearch", program):
            raise
        sys.exit(f"error: the {program} needs {error.name}, too: install prompt-search[{program}]; {HOW}")
