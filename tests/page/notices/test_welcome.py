"""The welcome: examples that are queries, and browsing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page.visit import Visit

pytestmark = pytest.mark.slow


def test_a_first_visit_offers_examples_that_are_queries(emoji: Visit) -> None:
    expect(emoji.page.get_by_role("heading", name="Find images")).to_be_visible()
    examples = emoji.page.locator("#examples button")
    expect(examples).to_have_count(6)
    expect(examples.first.locator("img").first).to_have_js_property("complete", True)
    examples.filter(has_text="happy dog").click()
    emoji.shows(emoji.expected("images", q="happy dog"))
    expect(emoji.box).to_have_value("happy dog")
    expect(emoji.page.get_by_role("heading", name="Find images")).to_be_hidden()


def test_other_collections_offer_their_most_frequent_prompts(visit: Visit) -> None:
    examples = visit.page.locator("#examples button")
    expect(examples.first).to_have_text("several foxes")
    visit.page.get_by_role("button", name="Browse 90 images").click()
    visit.settled()
    assert visit.parameters() == {"filter": "{}"}
    visit.shows(visit.expected("images", filter="{}"))
