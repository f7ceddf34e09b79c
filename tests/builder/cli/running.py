"""Run the builder's commands, in this process and in others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from builder.__main__ import main
from tests.support.workspace import ROOT


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that fails; return its one line on standard error, without `error: `."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err.removeprefix("error: ")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as users do; return its output and exit status."""
    command = [sys.executable, "-m", "builder", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
