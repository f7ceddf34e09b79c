"""What a person is told when there is nothing, when something is wrong, and when nobody answers."""

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

from tests.drawing import as_bytes, picture
from tests.page.visit import Visit, visiting
from tests.service.serving import Service, serving

pytestmark = pytest.mark.slow


@contextmanager
def overloading(service: Service, clients: int = 4) -> Iterator[None]:
    """Clients whose large pictures keep the service busy."""
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


def test_a_busy_service_is_asked_again_by_itself(browser: Browser, flags: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path, (*flags, "--queue", "1")) as service, visiting(browser, service) as visit:
        visit.provoked = "status of 503"
        visit.open()
        with overloading(service):
            for number in range(50):  # one that gets through is answered: ask until one does not
                visit.search(f"fox {number}")
                if visit.notice.text_content():
                    break
            expect(visit.notice).to_contain_text("The service is busy")
            expect(visit.page.get_by_role("button", name="Try again now")).to_have_text(re.compile(r"\(\d+ s\)"))
        expect(visit.tiles.first).to_be_visible()
        expect(visit.notice).to_be_empty()
        visit.shows(visit.expected("images", q=f"fox {number}"))
        visit.complaints.clear()  # thumbnails that were refused, too


def test_offline(visit: Visit) -> None:
    visit.provoked = "net::ERR_INTERNET_DISCONNECTED"
    visit.search("red fox")
    visit.page.context.set_offline(True)
    visit.box.fill("blue cat")
    expect(visit.notice).to_contain_text("You are offline")
    visit.page.context.set_offline(False)
    visit.shows(visit.expected("images", q="blue cat"))
    expect(visit.notice).to_be_empty()


def test_a_service_that_is_gone_and_comes_back(browser: Browser, flags: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path, flags) as service, visiting(browser, service) as visit:
        visit.provoked = "net::ERR_"
        visit.open("/?q=red+fox")
        assert service.end() == 0
        visit.box.fill("blue cat")
        expect(visit.notice).to_contain_text("The service does not answer")
        port = ("--port", service.url.rpartition(":")[2])
        (tmp_path / "again").mkdir()
        with serving(tmp_path / "again", (*flags, *port)):
            visit.page.get_by_role("button", name="Try again now").click()
            visit.shows(visit.expected("images", q="blue cat"))
            expect(visit.notice).to_be_empty()


def test_more_that_does_not_come_is_said_below_what_is_there(emoji: Visit) -> None:
    emoji.provoked = "net::ERR_FAILED"
    emoji.search("castle")
    emoji.page.route("**/search/images?cursor=*", lambda route: route.abort())
    emoji.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(emoji.notice).to_contain_text("does not answer")
    expect(emoji.tiles.first).to_be_visible()
    emoji.page.unroute("**/search/images?cursor=*")
    emoji.page.get_by_role("button", name="Try again now").click()
    expect(emoji.notice).to_be_empty()
    expect(emoji.status).to_have_text(re.compile("The first 180 pictures"))


def test_nothing_like_it(visit: Visit) -> None:
    visit.open("/?q=fox&min_score=1")
    expect(visit.notice).to_contain_text("No picture was found")
    visit.page.get_by_role("button", name="Start over").click()
    expect(visit.page.get_by_role("heading", name="Find pictures")).to_be_visible()
    assert visit.parameters() == {}
