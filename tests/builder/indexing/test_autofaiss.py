"""The error of an environment without autofaiss, in a separate process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from builder.indexing.autofaiss import INSTALL
from tests.support.workspace import ROOT

# A module that is None in sys.modules cannot be imported.
CODE = """
import sys
sys.modules[{missing!r}] = None
from builder.indexing import autofaiss
"""


def imported_without(missing: str) -> str:
    """Return the last line of standard error."""
    command = [sys.executable, "-c", CODE.format(missing=missing)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("missing", ["autofaiss", "embedding_reader"])
def test_a_missing_autofaiss_is_reported_with_its_command(missing: str) -> None:
    error = imported_without(missing)
    assert error.startswith(f"promptsearch.errors.NotInstalled: building indices needs {missing}")
    assert error.endswith(f"run `{INSTALL}`")


def test_dependencies_of_the_extra_are_reported_as_modules() -> None:
    assert imported_without("pandas").startswith("ModuleNotFoundError: import of pandas halted")
