"""The Python examples of the documentation, against the demo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, blocks

EXAMPLES = [block for page in PAGES for block in blocks(page, "python") if "import promptsearch" in block]


@pytest.mark.slow
@pytest.mark.parametrize("code", EXAMPLES)
def test_python_runs(code: str, address: str, demo_checkout: Path) -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore:builtin type:DeprecationWarning", "-c"]
    checked = code.replace("localhost:8000", address) + "\nassert len(page) == 5, page\n"
    done = subprocess.run(
        [*command, checked], cwd=demo_checkout, capture_output=True, text=True, check=False, timeout=250
    )
    assert (done.returncode, done.stderr) == (0, "")
