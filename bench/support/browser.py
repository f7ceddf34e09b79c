"""Chromium's flags for the benchmarks and the tests of the page."""

from __future__ import annotations

# Root (a container) has no sandbox; the other flags keep Chromium from connecting to its vendor.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
