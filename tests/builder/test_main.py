"""The command line: its output, its errors and its exit status, in this process and as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from builder.__main__ import main
from builder.versions.versions import versions
from promptsearch.encoding.bundle import Bundle
from tests.builder.cli.running import run
from tests.support.workspace import ROOT


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["build", "album", "."],
        ["export", "--out", "m"],
        ["export", "RN50", "--checkpoint", "x", "--out", "m"],
        ["build", "manifest", ".", "--model", "m", "--collection", "c", "--engine", "jax"],
        ["index", "--collection", "c", "--max-memory", "4 bananas"],
        ["index", "--collection", "c", "--recall", "98"],
        ["index", "--collection", "c", "--recall", "nan"],
        ["publish", "--collection", "c", "--keep", "-1"],
        ["hide", "c"],
        ["delete-version", "c"],
    ],
)
def test_wrong_usage_exits_with_2_and_prints_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m builder" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_process_it_builds_and_fails_without_traceback(
    vit_bundle: Bundle, source_folder: Path, tmp_path: Path
) -> None:
    arguments = ["manifest", source_folder, "--collection", "c", "--indices", tmp_path, "--model"]
    built = run("build", *arguments, vit_bundle.folder)
    assert built.returncode == 0, built.stderr
    assert "published c version" in built.stdout
    assert "Traceback" not in built.stderr
    assert run("verify", "c", "--indices", tmp_path).returncode == 0

    again = run("build", *arguments, vit_bundle.folder)
    assert "nothing new: c stays at version" in again.stdout
    quiet = run("build", *arguments, vit_bundle.folder, "--recall", "0.9", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert len(versions(tmp_path / "c")) == 2

    failed = run("build", *arguments, tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == f"error: {tmp_path} is not a model bundle: it has no model.json\n"
    assert run("build").returncode == 2
    assert run("--help").returncode == 0


@pytest.mark.slow
def test_a_user_may_stop_a_build(vit_bundle: Bundle, tmp_path: Path) -> None:
    rows = "\n".join(f"prompt number {number} of very many" for number in range(500_000))
    (tmp_path / "manifest.csv").write_text(f"prompt\n{rows}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "builder", "build", "manifest", tmp_path, "--model", vit_bundle.folder,
         "--collection", "c", "--indices", tmp_path],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TQDM_DISABLE": "1"},
        # A runner that was itself started in the background has Ctrl-C switched off, and what it starts inherits that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not (tmp_path / "c" / "staging" / "items.sqlite").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "stopped; nothing was published\n")
    assert not (tmp_path / "c" / "current").exists()
