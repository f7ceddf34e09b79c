"""Several services of the same collections: requests may reach any of them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import promptsearch
from promptsearch.client.page import Page
from promptsearch.client.results import ImageResult
from promptsearch.storage.manifest import Manifest, current_version
from promptsearch.system.files import replace_text
from tests.service.support.load import wait_for
from tests.service.support.serving import Service, serving
from tests.service.support.shapes import check_answer, check_problem

LATER = "30000101T000000.000000Z"


@pytest.fixture
def folders(indices: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Return two copies of an indices folder with `tiny`."""
    first, other = (tmp_path / name / "indices" for name in ("one", "the-other"))
    for folder in (first, other):
        shutil.copytree(indices / "tiny", folder / "tiny")
    return first, other


@pytest.fixture
def replicas(
    folders: tuple[Path, Path], models: Path, source_folder: Path, tmp_path: Path
) -> Iterator[tuple[Service, Service]]:
    """Yield a service of one process and one of two, each with its own folder."""
    with ExitStack() as stack:
        started = []
        for folder, workers in zip(folders, "12", strict=True):
            flags = ("--indices", str(folder), "--models", str(models), "--files", f"tiny={source_folder}")
            started.append(stack.enter_context(serving(folder.parent, [*flags, "--workers", workers])))
        first, other = started
        yield first, other
        for service in started:
            assert service.end() == 0
            assert not [line for line in service.errors() if line["level"] != "INFO"]


def pending(service: Service) -> int:
    """Return how many requests it has answered 503."""
    return sum(line["status"] == 503 for line in service.requests())


def publish(collection: Path, version: str) -> None:
    """Publish a copy of the current version under another name."""
    folder = Path(shutil.copytree(current_version(collection), collection / "versions" / version))
    replace(Manifest.read(folder), version=version).write(folder)
    replace_text(collection / "current", version + "\n")


def body(service: Service, path: str, **parameters: str | int) -> dict[str, Any]:
    answer = service.get(path, **parameters)
    assert answer.status_code == 200, answer.text
    return {**answer.json(), "took_ms": 0}


def _ids(page: Page[ImageResult] | None) -> list[str]:
    return [result.id for result in page or ()]


def next_page(service: Service, cursor: str) -> httpx.Response:
    return service.get("/search/images", cursor=cursor, limit=1)


@pytest.mark.slow
def test_answers_cursors_and_etags_are_the_same(replicas: tuple[Service, Service]) -> None:
    replica, other = replicas
    [best, *_] = body(replica, "/search/images", q="fox")["results"]
    requests: list[tuple[str, dict[str, str | int]]] = [
        ("/search/images", {"q": "fox", "limit": 1}),
        ("/search/prompts", {"q": "fox", "limit": 2}),
        ("/search/images", {"q": "fox", "mode": "hybrid", "limit": 1}),
        (f"/images/{best['id']}/similar", {"limit": 1}),
        (f"/images/{best['id']}", {}),
        ("/collections/tiny", {}),
        ("/collections/tiny/fields", {}),
    ]
    for path, parameters in requests:
        answer = body(replica, path, **parameters)
        assert answer == body(other, path, **parameters)
        if cursor := answer.get("next"):
            assert body(replica, path, cursor=cursor) == body(other, path, cursor=cursor)
    for path in (best["image"]["file"], best["image"]["thumbnail"]):
        answers = [httpx.get(service.url + path) for service in replicas]
        assert len({(answer.content, answer.headers["etag"]) for answer in answers}) == 1
        unchanged = httpx.get(other.url + path, headers={"If-None-Match": answers[0].headers["etag"]})
        assert unchanged.status_code == 304


@pytest.mark.slow
def test_a_cursor_of_a_version_that_a_replica_has_not_seen(
    replicas: tuple[Service, Service], folders: tuple[Path, Path]
) -> None:
    first, other = replicas
    old = body(first, "/search/images", q="fox", limit=1)
    publish(folders[0] / "tiny", LATER)
    wait_for(lambda: body(first, "/search/images", q="fox")["version"] == LATER, "serve the new version")
    new = body(first, "/search/images", q="fox", limit=1)
    # It is not there at all: that replica's folder is behind.
    refused = next_page(other, new["next"])
    check_problem(refused, 503, "version-pending")
    assert refused.headers["retry-after"] == "1"
    # A client waits until it is.
    with (
        promptsearch.Client(first.url) as ahead,
        promptsearch.Client(other.url) as behind,
        ThreadPoolExecutor(1) as pool,
    ):
        page = ahead.search_images("fox", limit=1)
        before = pending(other)
        waiting = pool.submit(behind.next_page, page)
        wait_for(lambda: pending(other) > before, "refuse the cursor as too early")
        publish(folders[1] / "tiny", LATER)
        assert _ids(waiting.result()) == _ids(ahead.next_page(page))
    # Then it is found at once, not with the next look, and so by every process.
    for _ in range(10):
        assert next_page(other, new["next"]).json()["version"] == LATER
    # A cursor of the version before is good at both.
    assert next_page(first, old["next"]).json()["results"] == next_page(other, old["next"]).json()["results"]
    assert old["version"] == next_page(first, old["next"]).json()["version"]


@pytest.fixture
def late_replica(folders: tuple[Path, Path], models: Path, tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """Yield a replica that started after a switch, and a cursor of the version before."""
    folder = folders[0]
    flags = ["--indices", str(folder), "--models", str(models)]
    with serving(folder.parent, flags) as service:
        cursor = body(service, "/search/images", q="fox", limit=1)["next"]
        publish(folder / "tiny", LATER)
        service.end(signal.SIGKILL)
    with serving(folder.parent, flags) as service:
        yield service, cursor
        assert service.end() == 0


@pytest.mark.slow
def test_a_late_replica_answers_cursors_of_the_previous_version(
    late_replica: tuple[Service, str], folders: tuple[Path, Path]
) -> None:
    service, cursor = late_replica
    following = check_answer(next_page(service, cursor), "images")
    assert following["version"] < LATER
    assert body(service, "/search/images", q="fox")["version"] == LATER
    (folders[0] / "tiny" / "hidden").write_text(following["results"][0]["id"])
    wait_for(lambda: next_page(service, cursor).json()["results"] != following["results"], "hide it there, too")


@pytest.mark.slow
def test_a_late_replica_refuses_cursors_after_ten_minutes(
    late_replica: tuple[Service, str], folders: tuple[Path, Path]
) -> None:
    service, cursor = late_replica
    long_ago = time.time() - 601
    os.utime(folders[0] / "tiny" / "current", (long_ago, long_ago))
    check_problem(next_page(service, cursor), 410, "cursor-gone")
