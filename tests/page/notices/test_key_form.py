"""The form for an API key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.page.visit import visiting
from tests.service.support.serving import Service, serving

pytestmark = pytest.mark.slow

KEY = "a-key-of-the-page-0123"


@pytest.fixture(scope="module")
def locked(flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("locked"), flags, settings={"PROMPT_SEARCH_API_KEYS": KEY}) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


def test_a_key_is_required_once_and_then_images_load(browser: Browser, locked: Service) -> None:
    with visiting(browser, locked) as visit:
        visit.provoked = "status of 401"
        page = visit.page
        page.goto(f"{locked.url}/?q=a+fox+in+3+colours")
        expect(visit.notice).to_contain_text("API key required")
        field = page.get_by_label("API key")
        expect(field).to_be_focused()
        field.fill("not-the-key-0123456789")
        page.get_by_role("button", name="Continue").click()
        expect(visit.notice).to_contain_text("Unknown API key")
        field.fill(KEY)
        field.press("Enter")
        expect(visit.tiles.first).to_be_visible()
        expect(field).to_have_count(0)
        picture = page.request.get(locked.url + (page.locator("#results img").first.get_attribute("src") or ""))
        assert picture.headers["cache-control"] == "private, max-age=31536000, immutable"
        page.wait_for_function(
            "() => [...document.querySelectorAll('#results img')].some((img) => img.naturalWidth > 0)"
        )
        assert page.evaluate("document.cookie") == ""  # scripts cannot read it
        page.reload()
        expect(visit.tiles.first).to_be_visible()
        expect(visit.notice).to_be_empty()
        page.context.clear_cookies()  # as at the end of the session
        visit.box.fill("another fox")
        field.fill(KEY)
        field.press("Enter")
        expect(page).to_have_title("another fox · prompt-search")
        expect(visit.tiles.first).to_be_visible()
