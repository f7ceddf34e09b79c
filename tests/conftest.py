"""Real small things that tests share, made once a session and only read from then on.

Whatever takes long to import is imported where it is used: pytest reads this file before it runs any test.
"""

from __future__ import annotations

import importlib.util
import resource
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from promptsearch.encoding.bundle import Bundle
    from promptsearch.encoding.encoders import Encoders
    from tests.support.object_store import ObjectStore

TESTS = Path(__file__).parent
# Folders whose modules import torch. They have the marker of that name.
TORCH = (TESTS / "builder" / "demo", TESTS / "builder" / "export" / "pytorch")

BUDGET = 60  # seconds of CPU that a test may take, beside its fixtures; some machines are half as fast

# A busy machine is slow at any example; what a test takes in all is for --timeout to limit.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], max_examples=100
)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-torch", action="store_true", help="fail without torch, instead of leaving tests out")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what imports torch if it is not installed (`make test`), but not in `make test-all`."""
    missing = collection_path in TORCH and importlib.util.find_spec("torch") is None
    return True if missing and not config.getoption("--require-torch") else None


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in TORCH):
            item.add_marker("torch")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that takes far too much CPU time, unless it is `long` or has its own timeout. Waiting is free."""
    before = cpu_seconds()
    yield
    took = cpu_seconds() - before
    if took > BUDGET and not any(item.get_closest_marker(name) for name in ("long", "timeout")):
        pytest.fail(f"it took {took:.0f} s of CPU, and {BUDGET} are allowed: make it faster, or mark it `long`", False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in logs of hostile texts: a process of pytest-xdist cannot send them."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def cpu_seconds() -> float:
    """Return what this process and the ended ones that it started have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@pytest.fixture(scope="session")
def vit_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle of 32 dimensions and 64-pixel pictures, called `tiny`, in its own models folder."""
    from tests.support import tiny

    return tiny.write(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def encoders(vit_bundle: Bundle) -> Encoders:
    from promptsearch.encoding.encoders import Encoders

    return Encoders(vit_bundle, threads=1)


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small `manifest` source with everything that can be wrong with one; see tests/support/source.py."""
    from tests.support import source

    return source.write(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def indices(source_folder: Path, encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an indices folder whose one collection, `tiny`, is built from `source_folder` with `vit_bundle`."""
    from tests.support import gallery

    return gallery.build(source_folder, encoders, tmp_path_factory.mktemp("indices") / "tiny").parent


@pytest.fixture(scope="session")
def emoji_indices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an indices folder whose one collection, `emoji`, is that of `make demo`."""
    from tests.support import shared

    def fill(indices: Path) -> None:
        build = ["build", "manifest", "builder/demo/emoji", "--model", "models/emoji", "--collection", "emoji"]
        command = [sys.executable, "-m", "builder", *build, "--indices", str(indices)]
        subprocess.run(command, cwd=TESTS.parent, check=True, capture_output=True, timeout=600)

    return shared.once(tmp_path_factory, "emoji-indices", fill)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """Yield an object store of this test's own; the environment names it."""
    from tests.support.object_store import object_store

    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store
