"""Connections that cost their client nothing never keep others, reloads or takedowns out."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptsearch.system.files import replace_text
from tests.service.server.test_protocol import connect
from tests.service.support.load import wait_for
from tests.service.support.serving import START, Service, serving
from tests.service.support.shapes import check_answer

FILES = 400  # that the crowded service may have open


@pytest.fixture
def crowded(indices: Path, models: Path, tmp_path: Path) -> Iterator[Service]:
    """Yield a service that may open few files, with copies of the collections."""
    shutil.copytree(indices / "tiny", tmp_path / "indices" / "tiny")
    flags = ["--indices", str(tmp_path / "indices"), "--models", str(models)]
    with serving(tmp_path, flags, files=FILES) as service:
        yield service
        assert service.end() == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("sent", [b"", b"GET /", b"POST /embed HTTP/1.1\r\nContent-Length: 9\r\n\r\n"])
def test_idle_connections_keep_nobody_out(crowded: Service, tmp_path: Path, sent: bytes) -> None:
    with contextlib.ExitStack() as open_connections:
        for _ in range(FILES + 100):
            connection = open_connections.enter_context(connect(crowded))
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
        assert crowded.get("/healthz").status_code == 200
        answer = check_answer(crowded.get("/search/images", q="fox"), "images")
        hidden = answer["results"][0]["id"]
        replace_text(tmp_path / "indices" / "tiny" / "hidden", hidden + "\n")
        wait_for(lambda: crowded.get(f"/images/{hidden}").status_code == 404, "hide the image")


def test_a_connection_with_a_request_is_never_closed_for_others(crowded: Service) -> None:
    with httpx.Client(base_url=crowded.url, timeout=START) as client, contextlib.ExitStack() as idle:
        for number in range(FILES):
            idle.enter_context(connect(crowded))
            if number % 20 == 0:
                check_answer(client.get("/search/images", params={"q": f"fox {number}"}), "images")


def test_connections_leave_files_for_everything_else() -> None:
    code = (
        "import resource; from service.server.connections import most_connections;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        "print(most_connections(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    for soft, hard, least, most in ((100, 100, 16, 60), (600, 600, 300, 400), (100, 4096, 1000, 1000)):
        command = [sys.executable, "-c", code.format(soft=soft, hard=hard)]
        out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=START).stdout.split()
        connections, files = map(int, out)
        assert least <= connections <= most
        assert connections < files <= hard
