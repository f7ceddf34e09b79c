"""The flags that Chromium is started with: for the benchmarks and the tests of the page."""

from __future__ import annotations

# Root (a container) has no sandbox; the rest keeps Chromium from calling home, which is no part of the page.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
