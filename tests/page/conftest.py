"""A real Chromium and real services for it to visit, started once for all tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from bench.support.browser import FLAGS
from promptsearch.encoding.encoders import Encoders
from tests.page import gallery
from tests.page.visit import Visit, visiting
from tests.service.support.serving import ROOT, Service, serving

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
AXE = ROOT / "tools" / "page" / "node_modules" / "axe-core" / "axe.min.js"


def require(reason: str) -> None:
    """Skip what cannot be tested here; in CI, fail."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Function) -> None:
    """Check here and not in the fixtures, so that pytest reports it once and not for each test."""
    if "browser" in item.fixturenames and CHROMIUM is None:
        missing = f"none of {', '.join(BROWSERS)} is on the PATH"
        require(f"the page's tests need a browser: apt-get install chromium ({missing})")
    if "axe" in item.fixturenames and not AXE.is_file():
        require("axe-core is missing: install Node 18 or newer (apt-get install nodejs npm), then `make setup-page`")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Run a browser for this package only: while it runs, no other test can have an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def axe() -> str:
    """Return the script of axe, the accessibility checker."""
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="package")
def folder(encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the small collections; see tests/page/gallery.py."""
    folder = tmp_path_factory.mktemp("page")
    gallery.write(folder, encoders)
    return folder


@pytest.fixture(scope="package")
def flags(folder: Path, encoders: Encoders) -> tuple[str, ...]:
    """Return the flags of a service over the small collections."""
    models = encoders.bundle.folder.parent
    files = f"gallery={folder / 'gallery'}"
    return ("--indices", str(folder / "indices"), "--models", str(models), "--collection", "gallery", "--files", files)


@pytest.fixture(scope="package")
def small(folder: Path, flags: tuple[str, ...]) -> Iterator[Service]:
    """Run a service over the small collections."""
    with serving(folder, flags) as service:
        yield service
        assert service.end() == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


@pytest.fixture(scope="package")
def demo(emoji_indices: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service of what `make demo` serves."""
    folder = tmp_path_factory.mktemp("demo-page")
    files = f"emoji={ROOT / 'builder' / 'demo' / 'emoji'}"
    flags = ("--indices", str(emoji_indices), "--models", str(ROOT / "models"), "--files", files)
    with serving(folder, flags) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


@pytest.fixture
def visit(browser: Browser, small: Service) -> Iterator[Visit]:
    """Open the page of the small collections."""
    with visiting(browser, small) as visit:
        visit.open()
        yield visit


@pytest.fixture
def emoji(browser: Browser, demo: Service) -> Iterator[Visit]:
    """Open the page of the demo."""
    with visiting(browser, demo) as visit:
        visit.open()
        yield visit
