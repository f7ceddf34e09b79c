"""A service with API keys: valid and invalid keys, their replacement, and the open routes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from promptsearch.errors import KeyNeeded, StartError
from service.access.keys import COOKIE, MIN_LENGTH, SESSION, ApiKeys, read_keys
from tests.service.ops.test_metrics import counted
from tests.service.support.serving import Service, failing, serving
from tests.service.support.shapes import check_answer, check_problem

OLD, NEW, OF_FILE = "old-key-0123456789", "new-key-0123456789", "key-of-the-file-0123"
GUARDED = [
    "/search/images?q=fox",
    "/search/prompts?q=fox",
    "/collections",
    "/collections/tiny",
    "/images/x",
    "/metrics",
]
OPEN = ["/healthz", "/readyz", "/", "/js/app.js", "/style.css", "/icon.svg", "/docs", "/docs/docs.js", "/openapi.json"]


@pytest.fixture(scope="module")
def locked(
    indices: Path, models: Path, source_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "keys").write_text(f"# of the page\n\n{OF_FILE}\n", encoding="utf-8")
    flags = ["--indices", str(indices), "--models", str(models), "--files", f"tiny={source_folder}"]
    flags += ["--api-keys-file", str(folder / "keys")]
    with serving(folder, flags, settings={"PROMPT_SEARCH_API_KEYS": f"{OLD},{NEW}"}) as service:
        yield service
        assert service.end() == 0
        logged = service.stdout.read_text(encoding="utf-8") + service.stderr.read_text(encoding="utf-8")
        assert not [key for key in (OLD, NEW, OF_FILE) if key in logged]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", GUARDED)
def test_requests_without_a_key_are_refused(locked: Service, path: str) -> None:
    response = locked.get(path)
    detail = check_problem(response, 401, "key-needed")
    assert detail == "API key required: send it as `Authorization: Bearer KEY`"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", OPEN)
def test_health_the_page_and_the_description_stay_open(locked: Service, path: str) -> None:
    assert locked.get(path).status_code == 200


@pytest.mark.parametrize("key", [OLD, NEW, OF_FILE])
def test_each_of_several_keys_is_good(locked: Service, key: str) -> None:
    response = httpx.get(f"{locked.url}/search/images?q=fox", headers=bearer(key))
    check_answer(response, "images")
    assert response.headers["cache-control"] == "private, max-age=60"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong-key-0123456789",
        f"Bearer {OLD[:-1]}",
        f"Bearer {OLD}x",
        "Bearer",
        f"Basic {OLD}",
        OLD,
        "",
    ],
)
def test_any_other_key_is_refused(locked: Service, header: str) -> None:
    response = httpx.get(f"{locked.url}/search/images?q=fox", headers={"Authorization": header})
    check_problem(response, 401, "key-needed")


def test_keys_are_checked_before_the_body_is_read(locked: Service) -> None:
    response = httpx.post(f"{locked.url}/search/images", content=b"x" * 1_000_000)
    check_problem(response, 401, "key-needed")


def test_the_page_exchanges_a_key_for_a_cookie_with_which_its_pictures_load(locked: Service) -> None:
    with httpx.Client(base_url=locked.url) as browser:
        begun = browser.post("/session", headers=bearer(NEW))
        assert (begun.status_code, begun.content) == (204, b"")
        cookie = begun.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert attributes == {"httponly", f"max-age={SESSION}", "path=/", "samesite=strict"}
        assert NEW not in cookie
        assert begun.headers["cache-control"] == "no-store"
        results = browser.get("/search/images?q=fox").json()["results"]
        named = [result["image"][name] for result in results for name in ("thumbnail", "file")]
        pictures = [address for address in named if address]
        assert pictures
        assert {browser.get(address).status_code for address in pictures} == {200}


def test_over_tls_the_cookie_is_never_sent_without(locked: Service) -> None:
    proxied = {**bearer(NEW), "X-Forwarded-Proto": "https"}
    assert "secure" in httpx.post(f"{locked.url}/session", headers=proxied).headers["set-cookie"].lower()


def test_a_wrong_key_begins_no_session(locked: Service) -> None:
    response = httpx.post(f"{locked.url}/session", headers=bearer("wrong-key-0123456789"))
    check_problem(response, 401, "key-needed")
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "cookie", ["", "x", "1.x", f"{10**9}.{'0' * 64}", f"{10**11}.{'0' * 64}", "9" * 5000 + ".x", "²."]
)
def test_a_forged_cookie_is_refused(locked: Service, cookie: str) -> None:
    headers = {b"Cookie": f"{COOKIE}={cookie}".encode()}
    check_problem(httpx.get(f"{locked.url}/collections", headers=headers), 401, "key-needed")


def test_a_session_ends_with_its_time_and_with_its_key() -> None:
    keys = ApiKeys([OLD, NEW])
    session = keys.session(f"Bearer {OLD}")
    assert keys.holder(None, session) == keys.holder(f"Bearer {OLD}", None)
    with pytest.raises(KeyNeeded):
        ApiKeys([NEW]).holder(None, session)
    ends, _, signature = session.partition(".")
    assert 0 <= int(ends) - time.time() <= SESSION
    with pytest.raises(KeyNeeded):
        keys.holder(None, f"{int(ends) + 1}.{signature}")


def test_refusals_are_counted(locked: Service) -> None:
    locked.get("/collections")
    assert counted(locked, "rejected_total", headers=bearer(NEW), reason="key") >= 1


def test_openapi_requires_a_key(locked: Service) -> None:
    document = locked.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {(scheme["type"], scheme.get("scheme"), scheme.get("in")) for scheme in schemes.values()} == {
        ("http", "bearer", None),
        ("apiKey", None, "cookie"),
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) == ("security" in operation) == (path not in OPEN)


def test_sessions_do_not_exist_without_keys(server: Service) -> None:
    check_problem(httpx.post(f"{server.url}/session"), 404, "not-found")
    assert "securitySchemes" not in server.get("/openapi.json").json()["components"]


@pytest.mark.parametrize("key", ["short", "with a space in it", "ümlaute-in-a-long-key", "x" * (MIN_LENGTH - 1)])
def test_a_key_that_cannot_be_sent_or_can_be_guessed_ends_the_start(key: str) -> None:
    with pytest.raises(StartError, match="API key 2 is not valid") as caught:
        read_keys([OLD, key], None)
    assert key not in str(caught.value)


def test_start_fails_if_the_file_of_keys_is_empty_or_missing(indices: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# none\n", encoding="utf-8")
    with pytest.raises(StartError, match="has no API keys: write one per line"):
        read_keys([], tmp_path / "empty")
    flags = ["--port", "0", "--indices", str(indices), "--models", str(models)]
    done = failing([*flags, "--api-keys-file", str(tmp_path / "missing")])
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot read the API keys: ")
