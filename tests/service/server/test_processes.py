"""`--workers`: several processes on one socket."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.service.support.load import under_load, wait_for
from tests.service.support.serving import Service, failing, serving
from tests.service.support.shapes import check_answer

pytestmark = pytest.mark.slow


def children(service: Service) -> set[int]:
    """Return the processes that serve, without Python's own helper for shared resources."""
    processes = set()
    for task in Path(f"/proc/{service.process.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                processes.add(int(pid))
    return processes


@pytest.fixture
def flags(indices: Path, models: Path) -> list[str]:
    return ["--indices", str(indices), "--models", str(models), "--workers", "2"]


def test_several_processes_serve_and_end_together(flags: list[str], tmp_path: Path) -> None:
    with serving(tmp_path, flags) as service:
        assert len(children(service)) == 2
        with under_load(f"{service.url}/search/images", 6, lambda number: {"q": f"text {number}"}) as load:
            wait_for(lambda: len(load.statuses) >= 60, "answer every client")
            assert service.end() == 0
            wait_for(lambda: load.refused == 6, "turn every client away")
        assert set(load.statuses) == {200}
        assert load.broken == []
        assert service.errors() == []


def test_a_process_that_dies_is_replaced(flags: list[str], tmp_path: Path) -> None:
    with serving(tmp_path, flags) as service:
        first = children(service)
        os.kill(min(first), signal.SIGKILL)
        wait_for(lambda: len(children(service) - first) == 1 and len(children(service)) == 2, "replace it")
        check_answer(service.get("/search/images", q="fox"), "images")
        assert service.end(signal.SIGINT) == 0
        [line] = service.errors()
        assert line["message"].endswith("ended with -9; starting another")


def test_worker_processes_end_with_their_supervisor(flags: list[str], tmp_path: Path) -> None:
    with serving(tmp_path, flags) as service:
        workers = children(service)
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "end without their parent")
        assert service.errors() == []


def test_a_start_that_fails_ends_all(flags: list[str], tmp_path: Path) -> None:
    done = failing(["--port", "0", *flags, "--collection", "missing"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "--collection must name a served collection (tiny), got 'missing'" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: a worker process could not start")
    assert "Traceback" not in done.stderr
