from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
import termios
import time

import pytest

from builder import progress
from builder.progress import Progress


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.05)
    with caplog.at_level(logging.INFO), Progress("items", 4000) as counted:
        counted.add(1000)
        assert caplog.messages == [], "too early"
        time.sleep(0.1)
        counted.add(1000)
        counted.add(1000)
    [line] = caplog.messages
    assert line.startswith("items: 2,000 of 4,000, 0 s left (")


def test_where_nobody_knows_how_many_there_are_nothing_is_said_of_the_time_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with caplog.at_level(logging.INFO), Progress("items", None) as counted:
        time.sleep(0.01)
        counted.add(1)
    assert "left" not in caplog.messages[0]


def test_a_terminal_has_a_bar_with_rate_and_time_left() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    code = "from builder.progress import Progress; import time\nwith Progress('images', 400) as counted:\n" + (
        " for _ in range(4): time.sleep(0.2); counted.add(100)"
    )
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    last = shown.decode().strip().split("\r")[-1]
    assert "images: 100%" in last
    assert "400/400" in last
    assert " images/s]" in last
    assert "<00:00" in last


def _read(terminal: int) -> bytes:
    """Linux says that the other side is closed by an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
