"""Files that take long to build: built once for all processes of a run, and read-only from then on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from promptsearch.system.locks import exclusive_lock


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `name`. The first process fills it with `build`, and the others wait for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # pytest-xdist gives each process a folder in that of the run
        base = base.parent
    folder = base / name
    with exclusive_lock(base / f"{name}.lock"):
        if not folder.exists():
            filling = base / f"{name}.filling"
            build(filling)
            filling.rename(folder)
    return folder
