"""Filters, built from the collection's fields; and the toolbar: the order and the search mode."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.page.visit import Visit

pytestmark = pytest.mark.slow


def filtered(visit: Visit) -> dict[str, object]:
    condition: dict[str, object] = json.loads(visit.parameters().get("filter", "{}"))
    return condition


def test_choices_have_counts_and_may_be_several(visit: Visit) -> None:
    visit.search("red fox")
    panel = visit.filters()
    sampler = panel.locator("details", has_text="Sampler")
    expect(sampler.locator(".choice")).to_have_text(["k_lms60", "ddim30"])
    sampler.get_by_label("ddim").check()
    expect(visit.status).to_contain_text("30 images")
    visit.shows(visit.expected("images", q="red fox", filter='{"sampler": "ddim"}'))
    assert filtered(visit) == {"sampler": "ddim"}
    sampler.get_by_label("k_lms").check()
    visit.page.wait_for_function("() => location.search.includes('k_lms')")
    assert filtered(visit) == {"sampler": ["k_lms", "ddim"]}
    visit.page.get_by_role("button", name="Remove: Sampler").click()
    expect(sampler.get_by_label("ddim")).not_to_be_checked()
    assert filtered(visit) == {}


def test_ranges_of_numbers_and_times(visit: Visit) -> None:
    visit.search("red fox")
    panel = visit.filters()
    steps = panel.locator("details", has_text="Steps")
    if steps.get_attribute("open") is None:
        steps.locator("summary").click()
    expect(steps.get_by_label("Steps from")).to_have_attribute("placeholder", "20")
    expect(steps.get_by_label("Steps to")).to_have_attribute("placeholder", "40")
    steps.get_by_label("Steps from").fill("30")
    steps.get_by_label("Steps from").press("Enter")
    expect(visit.status).to_contain_text("60 images")
    created = panel.locator("details", has_text="Created")
    if created.get_attribute("open") is None:
        created.locator("summary").click()
    created.get_by_label("Created to").fill("2023-05-02")
    created.get_by_label("Created to").press("Enter")
    visit.page.wait_for_function("() => location.search.includes('2023-05-02')")
    visit.settled()
    condition = {"steps": {"gte": 30}, "created": {"lte": "2023-05-02"}}
    assert filtered(visit) == condition
    visit.shows(visit.expected("images", q="red fox", filter=json.dumps(condition)))
    assert visit.chips() == ["Steps: from 30", "Created: up to 2023-05-02"]


def test_booleans_and_filters_without_a_query(visit: Visit) -> None:
    panel = visit.filters()
    upscaled = panel.locator("details", has_text="Upscaled")
    if upscaled.get_attribute("open") is None:
        upscaled.locator("summary").click()
    expect(upscaled.locator(".choice")).to_have_text(["No67", "Yes23"])
    upscaled.get_by_label("Yes").check()
    expect(visit.page.locator("#chips")).to_contain_text("Upscaled: Yes")
    visit.shows(visit.expected("images", filter='{"upscaled": true}'))
    expect(visit.status).to_contain_text("23 images")
    expect(visit.page.locator(".score")).to_have_count(0)  # there are no terms to compare with
    upscaled.get_by_label("Yes").uncheck()
    visit.shows(visit.expected("images", filter="{}"))


def test_values_that_all_differ_are_filtered_by_their_start(visit: Visit) -> None:
    panel = visit.filters()
    source = panel.locator("details", has_text="Source")
    source.locator("summary").click()
    source.get_by_label("Starts with").fill("1")
    source.get_by_label("Starts with").press("Enter")
    expect(visit.status).to_contain_text("11 images")
    assert filtered(visit) == {"source": {"prefix": "1"}}


def test_more_values_are_shown_on_request(emoji: Visit) -> None:
    group = emoji.filters().locator("details", has_text=re.compile("^Group"))
    expect(group.locator(".choice:visible")).to_have_count(6)
    group.get_by_role("button", name="3 more").click()
    expect(group.locator(".choice:visible")).to_have_count(9)
    group.get_by_label("flags").check()
    expect(emoji.status).to_contain_text("images")
    emoji.shows(emoji.expected("images", filter='{"group": "flags"}'))


def test_options_of_results(visit: Visit) -> None:
    visit.search("several foxes")
    panel = visit.filters()
    panel.get_by_label("One image per prompt").check()
    visit.shows(visit.expected("images", q="several foxes", group_by="prompt"))
    expect(visit.page.locator(".badge", has_text="+5 from this prompt")).to_be_attached()
    panel.get_by_label("Minimum score").fill("0.5")
    panel.get_by_label("Minimum score").press("Enter")
    visit.page.wait_for_function("() => location.search.includes('min_score')")
    visit.settled()
    panel.get_by_label("Hide near-duplicates").check()
    panel.get_by_label("More variety").check()
    visit.page.wait_for_function("() => location.search.includes('diversity')")
    visit.settled()
    assert visit.parameters() == {
        "q": "several foxes", "group_by": "prompt", "min_score": "0.5", "deduplicate": "true", "diversity": "0.5",
    }  # fmt: skip
    visit.page.get_by_role("button", name="Clear all").click()
    visit.shows(visit.expected("images", q="several foxes"))
    assert visit.parameters() == {"q": "several foxes"}


def test_conditions_unknown_to_the_panel_are_kept(visit: Visit) -> None:
    condition = {"or": [{"seed": 3}, {"seed": 5}]}
    visit.open(f"/?filter={json.dumps(condition)}")
    expect(visit.status).to_contain_text("2 images")
    visit.filters().get_by_label("ddim").check()
    visit.settled()
    visit.page.wait_for_function("() => location.search.includes('ddim')")
    assert filtered(visit) == {**condition, "sampler": "ddim"}


def test_order_by_time(visit: Visit) -> None:
    visit.search("red fox")
    visit.page.get_by_label("Sort order").select_option("Newest first")
    visit.shows(visit.expected("images", q="red fox", sort="-created"))
    visit.page.get_by_label("Sort order").select_option("Oldest first")
    visit.shows(visit.expected("images", q="red fox", sort="created"))
    visit.box.fill("")  # an order alone is a search
    expect(visit.status).to_have_text(re.compile(r"images · \d+ ms$"))
    visit.shows(visit.expected("images", sort="created"))
    visit.page.get_by_label("Sort order").select_option("Best match")
    expect(visit.page.get_by_role("heading", name="Find images")).to_be_visible()


def test_search_modes(visit: Visit) -> None:
    visit.search("several foxes")
    mode = visit.page.get_by_label("Search mode")
    mode.select_option("By keyword")
    expect(visit.status).to_contain_text("6 images")
    assert set(visit.shown()) == {"several foxes"}
    mode.select_option("By both")
    visit.shows(visit.expected("images", q="several foxes", mode="hybrid"))
    mode.select_option("By keyword")
    visit.box.fill("unheard-of")
    expect(visit.notice).to_contain_text("No prompt contains all of these words.")
    visit.page.get_by_role("button", name="Search by meaning").click()
    visit.shows(visit.expected("images", q="unheard-of"))


def test_no_results_because_of_filters(visit: Visit) -> None:
    visit.open('/?q=fox&filter={"steps":{"gte":1000}}')
    expect(visit.notice).to_contain_text("Nothing matches all filters.")
    visit.page.get_by_role("button", name="Search without filters").click()
    visit.shows(visit.expected("images", q="fox"))
