"""The URL holds the whole query: reload, back, forward, and other tabs."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.page.visit import Visit, visiting
from tests.service.support.serving import Service

pytestmark = pytest.mark.slow

WHOLE = (
    '/?q=fox&negative=blue&kind=images&mode=hybrid&sort=-created&filter={"steps":{"gte":30}}&group_by=prompt'
    "&min_score=-0.9&deduplicate=true"
)
PARAMETERS: dict[str, Any] = {
    "q": "fox", "negative": "blue", "mode": "hybrid", "sort": "-created", "filter": '{"steps": {"gte": 30}}',
    "group_by": "prompt", "min_score": "-0.9", "deduplicate": "true",
}  # fmt: skip


def test_a_url_is_a_whole_query(browser: Browser, small: Service) -> None:
    with visiting(browser, small) as visit:
        visit.open(WHOLE)
        visit.shows(visit.expected("images", **PARAMETERS))
        expect(visit.box).to_have_value("fox")
        expect(visit.page.get_by_role("searchbox", name="Exclude")).to_have_value("blue")
        expect(visit.page.get_by_label("Search mode")).to_have_value("hybrid")
        expect(visit.page.get_by_label("Sort order")).to_have_value("-created")
        panel = visit.filters()
        expect(panel.get_by_label("Steps from")).to_have_value("30")
        expect(panel.get_by_label("One image per prompt")).to_be_checked()
        expect(panel.get_by_label("Minimum score")).to_have_value("-0.9")
        visit.page.reload()
        visit.shows(visit.expected("images", **PARAMETERS))


def test_back_and_forward(visit: Visit) -> None:
    visit.search("red fox")
    foxes = visit.expected("images", q="red fox")
    visit.search("blue cat")
    cats = visit.expected("images", q="blue cat")
    visit.kind("Prompts")
    visit.shows(visit.expected("prompts", q="blue cat"))
    visit.page.go_back()
    visit.shows(cats)
    expect(visit.page.get_by_role("radio", name="Images")).to_be_checked()
    visit.page.go_back()
    visit.shows(foxes)
    expect(visit.box).to_have_value("red fox")
    visit.page.reload()
    visit.shows(foxes)
    visit.page.go_forward()
    visit.shows(cats)
    expect(visit.box).to_have_value("blue cat")


def test_links_open_a_result_in_another_tab(visit: Visit) -> None:
    visit.search("red fox")
    with visit.page.context.expect_page() as opening:
        visit.tiles.first.locator("a").click(modifiers=["ControlOrMeta"])
    tab = opening.value
    expect(tab.locator("#viewer-facts .text")).to_have_text(visit.expected("images", q="red fox")[0])
    expect(visit.viewer).to_be_hidden()


@pytest.mark.parametrize(
    "address",
    ["/?mode=odd&kind=odd&min_score=x&filter=[1]&q=fox", "/?q=fox&like=odd&item=odd", "/?q=fox&filter=%7B&sort="],
)
def test_invalid_parameters_are_ignored(visit: Visit, address: str) -> None:
    visit.open(address)
    visit.shows(visit.expected("images", q="fox"))


def test_the_service_s_errors_are_shown(visit: Visit) -> None:
    visit.provoked = "status of 40"
    visit.open('/?q=fox&filter={"stepz": 3}')
    expect(visit.notice).to_contain_text("did you mean steps?")
    visit.open("/?like=images/00000000000000000000")
    expect(visit.notice).to_contain_text("There is no image")
    visit.page.get_by_role("button", name="Start over").click()
    expect(visit.page.get_by_role("heading", name="Find images")).to_be_visible()


def test_a_missing_item_is_reported_beside_the_results(emoji: Visit) -> None:
    emoji.provoked = "status of 404"
    emoji.open("/?q=castle&item=images/00000000000000000000")
    gone = emoji.page.locator("#gone")
    expect(gone).to_contain_text("This item is no longer available. There is no image with this id")
    expect(gone).to_be_in_viewport()
    emoji.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(emoji.status).to_contain_text("The first 180 images")  # more results load nevertheless
    expect(gone).to_be_in_viewport()
    gone.get_by_role("button", name="Close").click()
    expect(gone).to_be_hidden()
    assert emoji.parameters() == {"q": "castle"}
    emoji.open("/?q=castle&item=images/00000000000000000000")
    expect(gone).to_be_visible()
    emoji.search("dog")
    expect(gone).to_be_hidden()
