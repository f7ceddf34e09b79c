"""The command: its output when it serves, and one line and a status when it cannot."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import httpx
import pytest

from service.__main__ import greeting, main
from tests.service.support.serving import Service, failing, lines, serving
from tests.service.support.shapes import check_answer


def test_start_prints_the_url_and_an_example(server: Service) -> None:
    greeted = server.stdout.read_text(encoding="utf-8")
    assert greeted.startswith(greeting("127.0.0.1", httpx.URL(server.url).port or 0) + "\n")
    for line in ("/search/images?q=happy+dog'", "/search/prompts?q=happy+dog'", "/docs. Ctrl-C stops the service."):
        assert f"{server.url}{line}" in greeted


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert "serving at http://[::1]:8000\n" in greeting("::1", 8000)


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for flag in ("--host", "--port", "--models", "--indices", "--collection", "--files", "--max-pixels"):
        assert flag in out


@pytest.mark.slow
def test_settings_may_come_from_the_environment(
    indices: Path, models: Path, source_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(indices / "tiny", tmp_path / "more" / "other")
    settings = {
        "PROMPT_SEARCH_MODELS": str(models),
        "PROMPT_SEARCH_INDICES": f"{indices},{tmp_path / 'more'}",
        "PROMPT_SEARCH_FILES": f"tiny={source_folder}",
        "PROMPT_SEARCH_COLLECTION": "other",
        "PROMPT_SEARCH_CORS_ORIGINS": "https://example.org",
    }
    with serving(tmp_path, (), settings=settings) as service:
        answer = check_answer(service.get("/search/images", q="fox"), "images")
        assert answer["collection"] == "other"
        assert httpx.get(service.url + answer["results"][0]["image"]["file"]).status_code == 200
        other = httpx.get(f"{service.url}/collections", headers={"Origin": "https://example.org"})
        assert other.headers["access-control-allow-origin"] == "https://example.org"
        assert service.end() == 0


@pytest.mark.slow
def test_lists_may_be_repeated_or_written_with_commas(indices: Path, models: Path, tmp_path: Path) -> None:
    shutil.copytree(indices / "tiny", tmp_path / "more" / "other")
    flags = ["--indices", str(indices), "--indices", str(tmp_path / "more"), "--models", f"{tmp_path},{models}"]
    with serving(tmp_path, flags) as service:
        assert {collection["name"] for collection in service.get("/collections").json()["collections"]} == {
            "tiny",
            "other",
        }
        assert service.end() == 0


def check_failure(flags: list[str], status: int, message: str, settings: dict[str, str] | None = None) -> str:
    """Assert that a command fails with an error as its last line, and prints nothing else; return that line."""
    done = failing(flags, settings)
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    # Anything before it is the log's, about what was refused.
    before = lines("".join(done.stderr.splitlines(keepends=True)[:-1]))
    assert {entry["logger"] for entry in before} <= {"service.catalogue.catalogue"}
    return line


def test_a_port_in_use(indices: Path, models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--port", str(port), "--indices", str(indices), "--models", str(models)]
        line = check_failure(flags, 1, f"cannot listen on 127.0.0.1 port {port}: ")
    assert line.endswith("choose another with --port")


@pytest.mark.parametrize("host", ["203.0.113.1", "no..host", "::g"])
def test_a_host_that_is_not_this_machines(indices: Path, models: Path, host: str) -> None:
    flags = ["--host", host, "--port", "0", "--indices", str(indices), "--models", str(models)]
    check_failure(flags, 1, f"cannot listen on {host} port 0: ")


def test_start_fails_without_a_collection(tmp_path: Path, models: Path) -> None:
    message = f"no collection to serve in {tmp_path}: build one with"
    check_failure(["--port", "0", "--indices", str(tmp_path), "--models", str(models)], 1, message)


def test_all_refused(indices: Path, tmp_path: Path) -> None:
    flags = ["--port", "0", "--indices", str(indices), "--models", str(tmp_path)]
    check_failure(flags, 1, "the model tiny, which is not there")


def test_a_refused_default(several_indices: Path, models: Path) -> None:
    flags = ["--port", "0", "--indices", str(several_indices), "--models", str(models), "--collection", "damaged"]
    check_failure(flags, 1, "the default collection cannot be served: ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "70000"], "error: port: input should be less than or equal to 65535"),
        (["--files", "emoji"], "error: files: expected NAME=DIR"),
        (["--precision", "fp8"], "error: precision: input should be 'fp32' or 'int8'"),
    ],
)
def test_a_bad_setting(flags: list[str], message: str) -> None:
    done = failing(flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_bad_setting_in_the_environment() -> None:
    done = failing([], {"PROMPT_SEARCH_PORT": "http"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: port: input should be a valid integer")


def test_an_unknown_flag() -> None:
    done = failing(["--wrong", "1"])
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("error: unrecognized arguments: --wrong 1")
