"""The viewer: the dialog that shows one result with its details."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.page import gallery
from tests.page.visit import Visit, visiting
from tests.service.support.serving import Service

pytestmark = pytest.mark.slow

QUERY = "several foxes"


@pytest.fixture
def opened(browser: Browser, small: Service) -> object:
    """Open the first result, whose prompt several images share."""
    with visiting(browser, small, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.open(f"/?q={QUERY.replace(' ', '+')}&mode=keyword")
        visit.tiles.first.locator("a").click()
        expect(visit.viewer).to_be_visible()
        yield visit


def clipboard(visit: Visit) -> str:
    text: str = visit.page.evaluate("navigator.clipboard.readText()")
    return text


def test_details(opened: Visit) -> None:
    result = opened.service.get("/search/images", q=QUERY, mode="keyword").json()["results"][0]
    facts = opened.page.locator("#viewer-facts")
    expect(facts.locator(".text")).to_have_text(QUERY)
    expect(facts).to_contain_text("blurry")  # only the item has it, not the result
    pairs = dict(zip(facts.locator("dt").all_text_contents(), facts.locator("dd").all_text_contents(), strict=True))
    width, height = result["image"]["width"], result["image"]["height"]
    assert pairs["Seed"] == str(result["settings"]["seed"])
    assert pairs["CFG scale"] == "7.5"
    assert pairs["Size"] == f"{width} × {height}"
    assert pairs["Created"].startswith("May ")
    assert pairs["Source"] == result["image"]["source"]
    assert pairs["Upscaled"] in ("Yes", "No")  # as in the filters
    expect(opened.page.locator("#viewer-score")).to_have_text(f"score {result['score']:.3f}")
    # The original takes the thumbnail's place.
    expect(opened.page.locator("#viewer-stage img")).to_have_attribute("src", re.compile("/file"))
    expect(opened.page.locator("#viewer-stage img")).to_have_js_property("naturalWidth", width)


def test_copying(opened: Visit) -> None:
    expect(opened.page.locator("#viewer-facts")).to_contain_text("blurry")
    opened.stop_clock()
    opened.page.get_by_role("button", name="Copy prompt").click()
    expect(opened.page.locator("#viewer-status")).to_have_text("Copied")
    assert clipboard(opened) == QUERY
    opened.page.clock.run_for(1500)
    expect(opened.page.locator("#viewer-status")).to_be_empty()
    opened.page.get_by_role("button", name="Copy settings").click()
    opened.page.wait_for_function(
        "() => navigator.clipboard.readText().then((text) => text.includes('CFG scale: 7.5'))"
    )
    lines = clipboard(opened).split("\n")
    assert "Sampler: k_lms" in lines or "Sampler: ddim" in lines
    assert "Negative prompt: blurry" in lines


def test_copying_waits_for_settings_that_are_loading(browser: Browser, small: Service) -> None:
    with visiting(browser, small, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.open(f"/?q={QUERY.replace(' ', '+')}&mode=keyword")
        held: list[Route] = []
        visit.page.route("**/images/*", lambda route: held.append(route))
        with visit.page.expect_request("**/images/*"):
            visit.tiles.first.locator("a").click()
        visit.stop_clock()
        visit.page.get_by_role("button", name="Copy settings").click()
        expect(visit.page.locator("#viewer-status")).to_be_empty()
        [route] = held
        route.continue_()
        expect(visit.page.locator("#viewer-status")).to_have_text("Copied")
        assert "Negative prompt: blurry" in clipboard(visit).split("\n")


def test_copying_skips_settings_that_fail_to_load(browser: Browser, small: Service) -> None:
    with visiting(browser, small, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.provoked = "net::ERR_FAILED"
        visit.open(f"/?q={QUERY.replace(' ', '+')}&mode=keyword")
        visit.page.route("**/images/*", lambda route: route.abort())
        with visit.page.expect_event("requestfailed", lambda request: "/images/" in request.url):
            visit.tiles.first.locator("a").click()
        visit.stop_clock()
        visit.page.get_by_role("button", name="Copy settings").click()
        expect(visit.page.locator("#viewer-status")).to_have_text("Copied")
        assert "CFG scale: 7.5" in clipboard(visit).split("\n")


def test_arrow_keys_step_through_the_results_and_escape_closes(opened: Visit) -> None:
    ids = [result["id"] for result in opened.service.get("/search/images", q=QUERY, mode="keyword").json()["results"]]
    assert opened.parameters()["item"] == f"images/{ids[0]}"
    expect(opened.page.get_by_role("button", name="Previous")).to_be_hidden()
    opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_function("id => location.search.includes(id)", arg=ids[1])
    opened.page.get_by_role("button", name="Next").click()
    opened.page.wait_for_function("id => location.search.includes(id)", arg=ids[2])
    for _ in ids:
        opened.page.keyboard.press("ArrowRight")
    opened.page.wait_for_function("id => location.search.includes(id)", arg=ids[-1])
    opened.page.keyboard.press("ArrowLeft")
    opened.page.wait_for_function("id => location.search.includes(id)", arg=ids[-2])
    opened.page.keyboard.press("Escape")
    expect(opened.viewer).to_be_hidden()
    expect(opened.tiles.nth(len(ids) - 2).locator("a")).to_be_focused()
    opened.page.wait_for_function("() => !location.search.includes('item')")


def test_buttons_are_disabled_at_the_ends(opened: Visit) -> None:
    ids = [result["id"] for result in opened.service.get("/search/images", q=QUERY, mode="keyword").json()["results"]]
    previous, following = opened.page.locator("#viewer-previous"), opened.page.locator("#viewer-next")
    expect(previous).to_be_disabled()
    following.focus()
    for id in ids[1:]:
        expect(following).to_be_enabled()
        opened.page.keyboard.press("Enter")
        opened.page.wait_for_function("id => location.search.includes(id)", arg=id)
    expect(following).to_be_disabled()
    expect(previous).to_be_enabled()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowLeft")  # the focus has stayed in the dialog
    opened.page.wait_for_function("id => location.search.includes(id)", arg=ids[-2])
    expect(following).to_be_enabled()


def test_an_open_image_has_a_url_and_an_entry_in_the_history(opened: Visit) -> None:
    address = opened.page.url
    opened.page.go_back()
    expect(opened.viewer).to_be_hidden()
    opened.page.go_forward()
    expect(opened.viewer).to_be_visible()
    opened.page.get_by_role("button", name="Close").click()
    expect(opened.viewer).to_be_hidden()
    opened.page.goto(address)
    expect(opened.page.locator("#viewer-facts .text")).to_have_text(QUERY)
    opened.page.keyboard.press("Escape")
    expect(opened.viewer).to_be_hidden()
    expect(opened.tiles).to_have_count(gallery.SHARED)


def test_more_like_this(opened: Visit) -> None:
    id = opened.parameters()["item"].removeprefix("images/")
    opened.page.get_by_role("button", name="More like this").click()
    expect(opened.viewer).to_be_hidden()
    opened.shows(opened.expected("images", terms=f'[{{"id": "{id}"}}]'))
    assert opened.chips() == [f"Like “{QUERY}”"]
    opened.page.get_by_label("Search mode").select_option("By meaning")
    opened.search("blue")  # in addition to the item
    opened.shows(opened.expected("images", q="blue", terms=f'[{{"id": "{id}"}}]'))
    opened.kind("Prompts")  # similar to this image
    opened.shows(opened.expected("prompts", q="blue", terms=f'[{{"id": "{id}"}}]'))
    opened.page.reload()  # the URL holds all of it
    opened.shows(opened.expected("prompts", q="blue", terms=f'[{{"id": "{id}"}}]'))
    expect(opened.page.locator("#chips")).to_contain_text(f"Like “{QUERY}”")
    for _ in range(4):
        opened.page.go_back()
    expect(opened.viewer).to_be_visible()


def test_same_prompt(opened: Visit) -> None:
    opened.page.get_by_role("button", name="Same prompt").click()
    expect(opened.tiles).to_have_count(gallery.SHARED)
    assert set(opened.shown()) == {QUERY}
    assert opened.chips() == [f"Images of “{QUERY}”"]
    opened.page.reload()
    expect(opened.tiles).to_have_count(gallery.SHARED)
    expect(opened.page.locator("#chips")).to_contain_text(f"Images of “{QUERY}”")


def test_use_as_query(opened: Visit) -> None:
    opened.page.get_by_role("button", name="Use as query").click()
    expect(opened.viewer).to_be_hidden()
    expect(opened.box).to_have_value(QUERY)


def test_download(opened: Visit, folder: Path) -> None:
    with opened.page.expect_download() as downloading:
        opened.page.get_by_role("link", name="Download").click()
    download = downloading.value
    assert re.fullmatch(r"\d+\.png", download.suggested_filename)
    assert download.path().read_bytes() == (folder / "gallery" / download.suggested_filename).read_bytes()


def test_originals_that_are_not_served(visit: Visit) -> None:
    visit.open("/?collection=silent&q=fox")
    visit.tiles.first.locator("a").click()
    expect(visit.page.locator("#viewer-stage img")).to_have_attribute("src", re.compile("/thumbnail"))
    expect(visit.viewer.get_by_role("link", name="Download")).to_have_count(0)


def test_a_prompt_with_its_images(visit: Visit) -> None:
    visit.open(f"/?q={QUERY}&kind=prompts&mode=keyword")
    visit.rows.first.locator(".text").click()
    expect(visit.viewer.get_by_role("heading", name="Prompt")).to_be_visible()
    expect(visit.viewer.locator(".sheet img")).to_have_count(gallery.SHARED)  # more than the row shows
    visit.viewer.locator(".sheet a").nth(1).click()
    expect(visit.viewer.get_by_role("heading", name="Image")).to_be_visible()
    visit.page.keyboard.press("ArrowRight")
    assert visit.parameters()["item"].startswith("images/")
    visit.page.keyboard.press("Escape")
    expect(visit.viewer).to_be_hidden()
    visit.page.wait_for_function("() => !location.search.includes('item')")


def test_stepping_past_the_end_loads_more(emoji: Visit) -> None:
    emoji.search("castle")
    emoji.tiles.first.locator("a").click()
    for _ in range(62):  # the first page has 60
        address = emoji.page.url
        emoji.page.keyboard.press("ArrowRight")
        expect(emoji.page).not_to_have_url(address)
    emoji.page.keyboard.press("Escape")
    expect(emoji.viewer).to_be_hidden()
    expect(emoji.page.locator("#results > li[data-index='62'] > a")).to_be_focused()
    expect(emoji.page.locator("a:focus")).to_be_in_viewport()
