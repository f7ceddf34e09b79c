"""Notices: no results, errors, a busy or unreachable service, a page that failed to load."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.page.visit import Visit, texts, visiting
from tests.service.support.serving import Service, serving
from tests.support.drawing import as_bytes, picture

pytestmark = pytest.mark.slow

MAX_WAIT = 30_000  # ms between two attempts: service/page/js/notices/notice.js


@contextmanager
def overloading(service: Service, clients: int = 4) -> Iterator[None]:
    """Run clients whose large images keep the service busy."""
    ends = threading.Event()
    large = as_bytes(picture(1, 2500, 2500), "JPEG", quality=50)

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not ends.is_set():
                if client.post(f"{service.url}/search/images", files={"image": large}).status_code == 503:
                    time.sleep(0.005)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def search_until_refused(visit: Visit) -> str:
    """Return the query that the service refused. The page's clock must be stopped, so that it does not retry."""
    for number in range(50):  # some get through
        visit.search(f"fox {number}")
        if visit.notice.text_content():
            return f"fox {number}"
    raise AssertionError("the service answered 50 searches")


def test_a_busy_service_is_retried_automatically(
    browser: Browser, small: Service, flags: tuple[str, ...], tmp_path: Path
) -> None:
    with serving(tmp_path, (*flags, "--queue", "1")) as service, visiting(browser, service) as visit:
        visit.provoked = "status of 503"
        visit.open()
        visit.stop_clock()
        with overloading(service):
            refused = search_until_refused(visit)
            expect(visit.notice).to_contain_text("The service is busy")
            expect(visit.page.get_by_role("button", name="Try again now")).to_have_text(re.compile(r"\(\d+ s\)"))
        while visit.notice.text_content() or not visit.tiles.count():  # its own thumbnails keep it busy, too
            visit.page.clock.run_for(MAX_WAIT)
        answer = small.get("/search/images", q=refused, limit=200)  # of the same collection, and not busy
        visit.shows(texts(answer.json()))


def test_the_rate_limit(browser: Browser, flags: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path, (*flags, "--rate-limit", "40/hour")) as service, visiting(browser, service) as visit:
        visit.provoked = "status of 429"
        visit.open()
        visit.stop_clock()
        search_until_refused(visit)
        expect(visit.notice).to_contain_text("Rate limit reached")
        expect(visit.page.get_by_role("button", name="Try again now")).to_have_text(re.compile(r"\(\d+ s\)"))


def test_an_internal_error(visit: Visit) -> None:
    visit.provoked = "status of 500"
    visit.refuse("**/search/images?*", 500, "internal", "the service failed on this request; its log says why")
    visit.search("red fox")
    expect(visit.notice).to_contain_text("The service failed on this request; its log says why.")
    visit.page.unroute("**/search/images?*")
    visit.page.get_by_role("button", name="Try again").click()
    visit.shows(visit.expected("images", q="red fox"))
    expect(visit.notice).to_be_empty()


FURTHER = "**/search/images?cursor=*"


def check_further_page(visit: Visit, why: str, remedy: str) -> None:
    """Check that a failing further page is reported below the results, and that the remedy loads it."""
    visit.stop_clock()  # otherwise the page would retry by itself
    visit.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(visit.notice).to_contain_text(why)
    expect(visit.tiles.first).to_be_visible()
    visit.page.unroute(FURTHER)
    visit.page.get_by_role("button", name=remedy).click()
    expect(visit.notice).to_be_empty()


def test_a_closed_version(emoji: Visit) -> None:
    emoji.provoked = "status of 410"
    emoji.refuse(FURTHER, 410, "cursor-gone", "its version is no longer open")
    emoji.search("castle")
    check_further_page(emoji, "This collection has been updated", "Search again")
    emoji.page.wait_for_function("() => scrollY === 0")
    emoji.shows(emoji.expected("images", q="castle"))


def test_offline(visit: Visit) -> None:
    visit.provoked = "net::ERR_INTERNET_DISCONNECTED"
    visit.search("red fox")
    visit.page.context.set_offline(True)
    visit.box.fill("blue cat")
    expect(visit.notice).to_contain_text("You are offline")
    visit.page.context.set_offline(False)
    visit.shows(visit.expected("images", q="blue cat"))
    expect(visit.notice).to_be_empty()


def test_a_restarted_service(browser: Browser, flags: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path, flags) as service, visiting(browser, service) as visit:
        visit.provoked = "net::ERR_"
        visit.open("/?q=red+fox")
        visit.stop_clock()
        assert service.end() == 0
        visit.box.fill("blue cat")
        visit.box.press("Enter")
        expect(visit.notice).to_contain_text("The service is not responding")
        retry = visit.page.get_by_role("button", name="Try again now")
        for wait in (1, 2, 4):  # seconds; it keeps retrying
            expect(retry).to_have_text(f"Try again now ({wait} s)")
            visit.page.clock.run_for(wait * 1000)
        expect(retry).to_have_text("Try again now (8 s)")
        port = ("--port", service.url.rpartition(":")[2])
        (tmp_path / "again").mkdir()
        with serving(tmp_path / "again", (*flags, *port)):
            retry.click()
            visit.shows(visit.expected("images", q="blue cat"))
            expect(visit.notice).to_be_empty()


def test_an_unreachable_further_page(emoji: Visit) -> None:
    emoji.provoked = "net::ERR_FAILED"
    emoji.page.route(FURTHER, lambda route: route.abort())
    emoji.search("castle")
    check_further_page(emoji, "not responding", "Try again now")
    expect(emoji.status).to_have_text(re.compile("The first 180 images"))


# Pauses the animation that delays the message, and sets it to `ms`.
AT_MS = """(ms) => {
  const late = document.getAnimations().find(({ animationName }) => animationName === "late");
  late.pause();
  late.currentTime = ms;
}"""


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_page_that_failed_to_load_reports_it(browser: Browser, small: Service, motion: str) -> None:
    with visiting(browser, small, reduced_motion=motion) as visit:
        visit.provoked = "net::ERR_FAILED"
        visit.page.route("**/js/results/tile.js", lambda route: route.abort())
        visit.page.goto(f"{small.url}/?q=red+fox")
        message = visit.page.get_by_text("The page failed to load. Reload it.")
        visit.page.evaluate(AT_MS, 4990)
        expect(message).to_be_hidden()  # it may still be loading
        visit.page.evaluate(AT_MS, 5000)
        expect(message).to_be_visible()
        visit.page.unroute("**/js/results/tile.js")
        message.get_by_role("link").click()
        visit.shows(visit.expected("images", q="red fox"))
        expect(message).to_have_count(0)


def test_without_javascript(browser: Browser, small: Service) -> None:
    with visiting(browser, small, java_script_enabled=False) as visit:
        visit.page.goto(small.url)
        expect(visit.page.locator("noscript p")).to_be_visible()
        expect(visit.page.get_by_text("The page failed to load")).to_be_hidden()
        waiting = visit.page.evaluate("document.getAnimations().map(({ animationName }) => animationName)")
        assert "late" not in waiting  # which would show the message later


def test_no_results(visit: Visit) -> None:
    visit.open("/?q=fox&min_score=1")
    expect(visit.notice).to_contain_text("No images found")
    visit.page.get_by_role("button", name="Start over").click()
    expect(visit.page.get_by_role("heading", name="Find images")).to_be_visible()
    assert visit.parameters() == {}
