"""The search box: results while typing, excluded words, history."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.page.gallery import MARKUP
from tests.page.visit import Visit, visiting
from tests.service.support.serving import Service

pytestmark = pytest.mark.slow


def test_typing_shows_results_without_enter(visit: Visit) -> None:
    visit.box.press_sequentially("red fox", delay=20)
    expect(visit.page).to_have_title("red fox · prompt-search")
    visit.shows(visit.expected("images", q="red fox"))
    expect(visit.status).to_have_text(re.compile(r"^90 images, best first · \d+ ms$|^The first \d+ images, "))


def test_typing_adds_one_entry_to_the_history(visit: Visit) -> None:
    for text in ("red", " fox", " there"):
        visit.box.press_sequentially(text)
        expect(visit.page).to_have_title(re.compile(f"{text.strip()} · "))
    visit.page.go_back()
    expect(visit.page.get_by_role("heading", name="Find images")).to_be_visible()
    expect(visit.box).to_have_value("")


def test_a_submitted_query_stays_in_the_history_if_typing_continues(visit: Visit) -> None:
    visit.box.fill("red")
    expect(visit.page).to_have_title("red · prompt-search")
    visit.box.press("Enter")
    visit.box.fill("red fox")
    expect(visit.page).to_have_title("red fox · prompt-search")
    visit.page.go_back()
    expect(visit.page).to_have_title("red · prompt-search")
    expect(visit.box).to_have_value("red")


def test_words_typed_before_the_page_is_ready_are_kept(visit: Visit) -> None:
    waiting: list[Route] = []
    visit.page.route("**/collections", lambda route: waiting.append(route))
    visit.stop_clock()
    with visit.page.expect_request("**/collections"):
        visit.page.goto(visit.service.url)
    visit.box.fill("red fox")
    visit.page.clock.run_for(1000)  # longer than a pause between two keys
    waiting[0].continue_()
    visit.shows(visit.expected("images", q="red fox"))
    expect(visit.box).to_have_value("red fox")


def test_a_stale_answer_never_replaces_a_newer_one(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/search/images?q=slow*", lambda route: held.append(route))
    visit.box.fill("slow")
    expect(visit.status).to_have_text("Searching…")
    expect(visit.page.locator("main")).to_have_attribute("aria-busy", "true")
    # The page cancels the earlier request, so its answer cannot arrive.
    with visit.page.expect_event("requestfailed", lambda request: "q=slow" in request.url):
        visit.search("red fox")
    assert len(held) == 1
    visit.shows(visit.expected("images", q="red fox"))
    expect(visit.notice).to_be_empty()


def test_results_stay_until_new_ones_replace_them(visit: Visit) -> None:
    visit.search("red fox")
    before = visit.shown()
    held: list[Route] = []
    visit.page.route("**/search/images?q=slow*", lambda route: held.append(route))
    visit.box.fill("slow")
    expect(visit.status).to_have_text("Searching…")
    assert visit.shown() == before
    held[0].continue_()
    visit.shows(visit.expected("images", q="slow"))


def test_excluded_words(visit: Visit) -> None:
    visit.search("red fox")
    button = visit.page.get_by_role("button", name="Exclude words")
    button.click()
    field = visit.page.get_by_role("searchbox", name="Exclude")
    expect(field).to_be_focused()
    field.press_sequentially("blue")
    expect(visit.page).to_have_url(re.compile("negative=blue"))
    visit.shows(visit.expected("images", q="red fox", negative="blue"))
    button.click()
    expect(field).to_be_hidden()
    visit.shows(visit.expected("images", q="red fox"))


def test_notes_of_the_service_are_shown(visit: Visit) -> None:
    visit.box.fill("fox " * 200)
    expect(visit.page.locator("#notes")).to_contain_text("tokens at most")
    visit.search("fox")
    expect(visit.page.locator("#notes")).to_be_hidden()


def test_a_hostile_prompt_is_text_and_never_markup(browser: Browser, small: Service) -> None:
    with visiting(browser, small) as visit:
        for address in ("/?mode=keyword", "/?kind=prompts&mode=keyword", "/?collection=words"):
            visit.open(address)
            visit.box.fill(MARKUP)
            visit.settled()
            expect(visit.page).to_have_title(re.compile(r"^<img src=x"))
            match = visit.page.locator("#results").get_by_text(MARKUP, exact=True).first
            expect(match).to_be_attached()
            row = match.locator("xpath=ancestor::li")
            row.get_by_role("button", name="More like").click()
            expect(visit.page.locator("#chips")).to_contain_text(f"Like “{MARKUP[:40]}")
            visit.settled()
        hostile = small.get("/search/images", q=MARKUP, mode="keyword", limit=1).json()["results"][0]
        visit.open(f"/?item=images/{hostile['id']}")
        expect(visit.viewer.locator(".text")).to_have_text(MARKUP)
        assert visit.page.locator("img[src=x], b").count() == 0
        assert "broken" not in visit.page.title()
