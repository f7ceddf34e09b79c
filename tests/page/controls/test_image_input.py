"""Images as queries: dropped, pasted or chosen, alone and with words."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import FilePayload, expect

from tests.page import gallery
from tests.page.visit import Visit, texts
from tests.service.support.serving import START

pytestmark = pytest.mark.slow


def answer(visit: Visit, number: int, **words: str) -> list[str]:
    files = {"image": gallery.drawn(number)}
    form = {"limit": "200", **words}
    return texts(httpx.post(f"{visit.service.url}/search/images", files=files, data=form, timeout=START).json())


def test_a_dropped_image_finds_itself(visit: Visit) -> None:
    visit.drop(gallery.drawn(7), "seven.png")
    visit.shows(answer(visit, 7))
    first = visit.tiles.first
    expect(first.locator(".caption")).to_have_text("a fox in 7 colours")
    expect(first.locator(".score")).to_have_text("1.000")
    expect(visit.page.locator("#chips img")).to_have_js_property("naturalWidth", gallery.size(7)[0])


def test_an_image_with_words_and_back_again(visit: Visit) -> None:
    visit.drop(gallery.drawn(7), "seven.png")
    alone = answer(visit, 7)
    visit.search("blue cat")
    both = answer(visit, 7, q="blue cat")
    assert both != alone
    visit.shows(both)
    visit.page.go_back()
    visit.shows(alone)
    expect(visit.box).to_have_value("")
    visit.page.go_back()
    expect(visit.page.locator("#chips")).to_be_hidden()
    expect(visit.page.get_by_role("heading", name="Find images")).to_be_visible()
    visit.page.go_forward()
    visit.shows(alone)
    visit.page.get_by_role("button", name="Remove: seven.png").click()
    expect(visit.page.get_by_role("heading", name="Find images")).to_be_visible()
    expect(visit.box).to_be_focused()


def test_pasted_and_chosen_images(visit: Visit) -> None:
    transfer = visit.transfer(gallery.drawn(8), "eight.png", "image/png")
    visit.page.evaluate(
        "clipboardData => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true}))",
        transfer,
    )
    visit.shows(answer(visit, 8))
    chosen = FilePayload(name="nine.png", mimeType="image/png", buffer=gallery.drawn(9))
    visit.page.get_by_label("Search by image").set_input_files(chosen)
    visit.shows(answer(visit, 9))
    visit.kind("Prompts")
    expect(visit.rows.first).to_be_visible()
    expect(visit.page.locator("#chips")).to_contain_text("nine.png")


def test_more_results_for_an_image(visit: Visit) -> None:
    visit.drop(gallery.drawn(7))
    visit.scroll_until("^90 images")


def test_a_reload_reports_the_lost_image(visit: Visit) -> None:
    visit.drop(gallery.drawn(7), "seven.png")
    visit.search("fox")
    visit.page.reload()
    visit.settled()
    expect(visit.page.locator("#lost")).to_contain_text("“seven.png”")
    visit.shows(visit.expected("images", q="fox"))
    visit.drop(gallery.drawn(7), "seven.png")
    expect(visit.page.locator("#lost")).to_be_hidden()
    visit.shows(answer(visit, 7, q="fox"))


def test_a_file_that_is_not_an_image_shows_the_service_s_error(visit: Visit) -> None:
    visit.provoked = "status of 415"
    visit.drop(b"no picture at all", "notes.txt", "text/plain")
    expect(visit.notice).to_contain_text("not a picture")
    expect(visit.tiles).to_have_count(0)
    visit.drop(gallery.drawn(7), "seven.png")
    expect(visit.notice).to_be_empty()
    visit.shows(answer(visit, 7))
