"""Progress of a long stage, in a log and on a terminal."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
import termios

import pytest

from builder.progress import EVERY, Progress


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    times = iter((0.0, EVERY - 1, EVERY, 2 * EVERY - 1))  # of the start, and of each count
    with caplog.at_level(logging.INFO), Progress("items", 6000, times.__next__) as counted:
        for _ in range(3):
            counted.add(1000)
    assert caplog.messages == ["items: 2,000 of 6,000, 60 s left (66.7 a second)"]


def test_without_a_total_no_remaining_time_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter((0.0, EVERY))
    with caplog.at_level(logging.INFO), Progress("items", None, times.__next__) as counted:
        counted.add(60)
    assert caplog.messages == ["items: 60 (2.0 a second)"]


def test_nothing_done_yet_leaves_no_estimate(caplog: pytest.LogCaptureFixture) -> None:
    times = iter((0.0, EVERY))
    with caplog.at_level(logging.INFO), Progress("links", 7, times.__next__) as counted:
        counted.add(0)
    assert caplog.messages == ["links: 0 of 7 (0.0 a second)"]


def test_a_terminal_has_a_bar_with_rate_and_time_left() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    code = "from builder.progress import Progress\nwith Progress('images', 400) as counted:\n" + (
        " for _ in range(4): counted.add(100)"
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
    """Read from a terminal; return nothing if the other side is closed, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
