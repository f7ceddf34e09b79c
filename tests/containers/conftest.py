"""An engine that runs containers, and our images built with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers import engine
from tests.containers.engine import Engine


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """Yield the container engine; skip if containers cannot run, unless PROMPT_SEARCH_CONTAINERS=required."""
    missing = engine.missing()
    if missing and not engine.required():
        pytest.skip(f"containers cannot run here: there is {missing}")
    assert not missing, missing
    with engine.started() as started:
        yield started


@pytest.fixture(scope="session")
def cpu_images(docker: Engine) -> Engine:
    docker.output("make image-cpu")
    return docker


@pytest.fixture(scope="session")
def gpu_image(docker: Engine) -> Engine:
    docker.output("make image-gpu")
    return docker
