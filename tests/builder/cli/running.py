"""Run the builder's commands in this process."""

from __future__ import annotations

import pytest

from builder.__main__ import main


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
