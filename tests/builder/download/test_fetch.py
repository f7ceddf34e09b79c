"""img2dataset's process gets its arguments, and ends with the builder; another module stands in for img2dataset."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import builder.download.fetch

PATIENCE = 60.0  # seconds
DOWNLOADER = """
import json, os, pathlib, signal

def download(out, **arguments):
    path = pathlib.Path(out)
    path.with_suffix(".partial").write_text(json.dumps(arguments))
    path.with_suffix(".partial").rename(path)
    signal.pause()
"""


def test_fetch_passes_the_arguments_and_ends_with_the_builder(tmp_path: Path) -> None:
    (tmp_path / "img2dataset.py").write_text(DOWNLOADER)
    process = subprocess.Popen(
        [sys.executable, builder.download.fetch.__file__],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps({"out": str(tmp_path / "out"), "timeout": 5}).encode() + b"\n")
        process.stdin.flush()
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "out").exists():
            assert process.poll() is None
            assert time.monotonic() < end, "nothing was downloaded"
            time.sleep(0.02)
        assert json.loads((tmp_path / "out").read_text()) == {"timeout": 5}
        process.stdin.close()  # as when the builder ends
        assert process.wait(PATIENCE) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait(PATIENCE)
