"""The files of the page over HTTP."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest
from playwright.sync_api import Browser

from service.api.routes.page import FOLDER
from tests.page.visit import visiting
from tests.service.support.serving import Service

pytestmark = pytest.mark.slow

MAX_BYTES = 100_000  # of the whole page, compressed
TYPES = {
    "/": "text/html",
    "/js/app.js": "text/javascript",
    "/js/viewer/keys.js": "text/javascript",
    "/style.css": "text/css",
    "/css/viewer.css": "text/css",
    "/icon.svg": "image/svg+xml",
}


@pytest.mark.parametrize(("path", "type"), TYPES.items())
def test_files_are_compressed_cached_and_under_a_strict_policy(small: Service, path: str, type: str) -> None:
    answer = small.get(path)
    assert answer.headers["content-type"].startswith(type)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-encoding"] == "gzip"
    plain = httpx.get(small.url + path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    revalidated = httpx.get(small.url + path, headers={"If-None-Match": answer.headers["etag"]})
    assert (revalidated.status_code, revalidated.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/js/api/types.d.ts", "/js/nothing.js", "/js/", "/js/viewer/", "/css/", "/js/../page.py", "/docs.html"]
)
def test_nothing_else_in_the_folder_is_served(small: Service, path: str) -> None:
    answer = small.raw(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_whole_page_is_small(browser: Browser, small: Service) -> None:
    with visiting(browser, small) as visit:
        paths: list[str] = []
        visit.page.on("request", lambda request: paths.append(request.url.removeprefix(small.url)))
        visit.open("/?q=fox")
    files = [path for path in paths if path == "/" or re.search(r"\.(js|css|svg)$", path) or path.startswith("/?")]
    parts = [path.relative_to(FOLDER).as_posix() for path in (*FOLDER.glob("js/**/*.js"), *FOLDER.glob("css/*.css"))]
    assert {f"/{part}" for part in parts} <= set(files)
    sizes = [len(gzip.compress(small.get(path).content)) for path in files]
    assert sum(sizes) <= MAX_BYTES


def test_text_never_becomes_markup() -> None:
    sinks = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|srcdoc")
    for path in FOLDER.rglob("*.js"):
        assert not sinks.search(path.read_text(encoding="utf-8")), path


def test_swagger_ui_works_under_the_same_policy(browser: Browser, small: Service) -> None:
    """Swagger UI reads and calls the API without inline scripts or styles, which the policy forbids."""
    with visiting(browser, small) as visit:
        page = visit.page
        page.goto(small.url + "/docs")
        page.locator("#operations-service-healthz_healthz_get button").first.click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        page.locator(".live-responses-table").get_by_text('"ok"').wait_for()
