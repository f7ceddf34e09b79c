from __future__ import annotations

import logging
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
