"""clip-retrieval's own web page, from its package, in a real Chromium, on another origin than the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Request, expect

from tests.page import gallery
from tests.page.visit import PATIENCE
from tests.service.support.serving import ROOT, Service, serving
from tests.support.drawing import as_bytes, picture

pytestmark = pytest.mark.slow

PNG = as_bytes(picture(5))


class _Handler(SimpleHTTPRequestHandler):
    """Serve its files and the configuration that names the service, like `clip-retrieval front`."""

    def __init__(self, *args: Any, backend: dict[str, str], **options: Any) -> None:
        self.backend = backend
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/config.json":
            super().do_GET()
            return
        content = json.dumps({**self.backend, "urlColumn": "url"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def front() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield its URL, and the configuration to fill in."""
    [build] = (ROOT / ".venv-client").glob("lib/python3*/site-packages/front/build")
    backend: dict[str, str] = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, backend=backend, directory=str(build))) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}", backend
        served.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def fronted(flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    """Yield the page's URL and the service that it searches."""
    with front() as (address, backend):
        more = ("--cors-origins", address)
        with serving(tmp_path_factory.mktemp("fronted"), (*flags, *more)) as service:
            # With a trailing slash, like clip-retrieval's own configuration; so it requests //metadata.
            backend |= {"defaultBackend": f"{service.url}/", "defaultIndex": ""}
            yield address, service
            assert service.end() == 0


def test_clip_retrievals_page_searches_shows_and_scrolls(fronted: tuple[str, Service], browser: Browser) -> None:
    address, service = fronted
    requests: list[Request] = []
    errors: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda request: requests.append(request) if request.url.startswith(service.url) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    shown = page.locator("#products figure")

    page.goto(address)
    names = service.get("/indices-list").json()
    expect(page.locator("#filter select").first.locator("option")).to_have_text(names, timeout=PATIENCE)
    page.get_by_label("Hide (near) duplicate images").click()  # to a random model, all are similar
    page.locator("#searchBar").fill("fox")
    page.locator("#searchBar").press("Enter")
    expect(shown.nth(39)).to_be_visible(timeout=PATIENCE)  # this many come with metadata
    assert (
        page.locator("#products img.pic").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    )
    assert "fox" in page.locator("#products figcaption").nth(5).inner_text()

    expect(shown.nth(50)).to_be_attached(timeout=PATIENCE)  # it loads more until the window is full
    # Repeatedly, as people do: it ignores scrolling while it loads more.
    page.wait_for_function(
        """([products, least]) => {
          scrollTo(0, 0), scrollTo(0, document.body.scrollHeight);
          return products.querySelectorAll("figure").length >= least;
        }""",
        arg=[page.locator("#products").element_handle(), gallery.PICTURES - 1],
        polling=100,
    )

    with page.expect_response("**/knn-service") as by_file:
        page.locator("#filechooser").set_input_files([FilePayload(name="a.png", mimeType="image/png", buffer=PNG)])
    expect(page.locator("#searchBar")).to_have_value("")
    with page.expect_response("**/knn-service") as by_result:
        shown.nth(1).locator(".subImageSearch").dispatch_event("click")  # shown under the mouse: search by this picture
    with page.expect_response("**/knn-service") as for_prompts:
        page.get_by_label("Search over").select_option("text")
    expect(shown.first).to_be_visible()
    with page.expect_response("**/knn-service") as aesthetic:
        page.get_by_label("Enable aesthetic scoring").click()
    sent = [
        json.loads(response.value.request.post_data or "") for response in (by_file, by_result, for_prompts, aesthetic)
    ]
    assert [body["modality"] for body in sent] == ["image", "image", "text", "text"]
    assert all(body["image"] for body in sent)
    assert sent[3]["aesthetic_score"] == "9"

    assert errors == []
    posted = [request for request in requests if request.method == "POST"]
    assert {request.url.removeprefix(service.url) for request in posted} == {"//knn-service", "//metadata"}
    assert {request.headers["content-type"] for request in posted} == {"text/plain;charset=UTF-8"}
    assert not [request for request in requests if request.method == "OPTIONS"]
    assert {response.status for request in requests if (response := request.response())} <= {200, 304}
    page.close()
