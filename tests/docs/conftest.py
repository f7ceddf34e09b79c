"""Checkouts in which the commands of the documentation run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.checkout import make_checkout
from tests.support.workspace import free_port, running


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a module's own checkout, without collections."""
    return make_checkout(tmp_path_factory.mktemp("docs") / "checkout")


@pytest.fixture(scope="package")
def demo_checkout(emoji_indices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the checkout in which the demo runs, its collection built; tests only read from it."""
    checkout = make_checkout(tmp_path_factory.mktemp("docs-demo") / "checkout")
    (checkout / "indices" / "emoji").symlink_to(emoji_indices / "emoji")
    return checkout


@pytest.fixture(scope="package")
def address(demo_checkout: Path) -> Iterator[str]:
    """Yield host and port of a running `make demo`."""
    command = ["make", "demo", f"PORT={free_port()}"]
    with running(command, demo_checkout, demo_checkout.parent / "demo.log") as process:
        yield process.wait_for(r"serving at http://(\S+)")
