"""Results: rows of images or a list of prompts, with and without thumbnails, at any width."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.page import gallery
from tests.page.visit import Visit

pytestmark = pytest.mark.slow

BOXES = """() => [...document.querySelectorAll('#results > li')].map((li) => {
  const { x, y, width, height } = li.querySelector('.frame').getBoundingClientRect();
  return { x, y, width, height, index: Number(li.dataset.index) };
})"""
ALL_IMAGES = "() => [...document.querySelectorAll('#results img')].every((img) => {})"


def test_images_fill_rows_and_never_overlap(visit: Visit) -> None:
    visit.search("red fox")
    boxes: list[dict[str, Any]] = visit.page.evaluate(BOXES)
    images = visit.service.get("/search/images", q="red fox", limit=200).json()["results"]
    rows: dict[float, list[dict[str, Any]]] = {}
    for box in boxes:
        image = images[box["index"]]["image"]
        expected = min(3.0, max(0.45, image["width"] / image["height"]))
        assert box["width"] / box["height"] == pytest.approx(expected, rel=0.01)
        rows.setdefault(round(box["y"]), []).append(box)
    results = visit.page.locator("#results").bounding_box()
    assert results is not None
    assert len(rows) > 2
    for row in list(rows.values())[:-1]:
        assert [box["index"] for box in row] == sorted(box["index"] for box in row)
        assert row[-1]["x"] + row[-1]["width"] == pytest.approx(results["x"] + results["width"], abs=1.5)
        for left, right in itertools.pairwise(row):
            assert left["x"] + left["width"] < right["x"]


def test_thumbnails_load_and_have_their_prompts_as_names(visit: Visit) -> None:
    visit.search("red fox")
    for tile in visit.tiles.all()[:8]:
        image = tile.locator("img")
        expect(image).not_to_have_js_property("naturalWidth", 0)
        text = tile.locator(".caption").text_content() or ""
        assert (image.get_attribute("alt") or "")[:100] == text[:100]
        expect(tile.locator(".score")).to_have_text(re.compile(r"^-?\d\.\d{3}$"))


def test_prompts_show_their_images(visit: Visit) -> None:
    visit.search("several foxes")
    visit.kind("Prompts")
    visit.shows(visit.expected("prompts", q="several foxes"))
    assert visit.parameters()["kind"] == "prompts"
    row = visit.rows.filter(has_text=re.compile("^several foxes"))
    expect(row).to_contain_text("6 images")
    expect(row.locator("img")).to_have_count(4)
    expect(row.locator("img").first).not_to_have_js_property("naturalWidth", 0)
    row.get_by_role("button", name="Use as query").click()
    expect(visit.box).to_have_value("several foxes")


def test_arrow_keys_switch_between_images_and_prompts(visit: Visit) -> None:
    visit.search("red fox")
    visit.page.get_by_role("radio", name="Images").focus()
    visit.page.keyboard.press("ArrowRight")
    visit.shows(visit.expected("prompts", q="red fox"))
    visit.page.keyboard.press("ArrowLeft")
    visit.shows(visit.expected("images", q="red fox"))


def test_prompts_without_images(visit: Visit) -> None:
    visit.open("/?collection=words&q=words")
    visit.shows(visit.expected("prompts", q="words", collection="words"))
    expect(visit.page.locator("#kinds")).to_be_hidden()
    expect(visit.page.locator("#results img")).to_have_count(0)
    expect(visit.status).to_contain_text("3 prompts")
    heights = visit.page.evaluate("[...document.querySelectorAll('.prompt')].map((row) => row.clientHeight)")
    assert max(heights) < 130  # no empty space for images
    visit.rows.first.locator(".text").click()
    expect(visit.viewer.locator(".text")).to_have_text(visit.shown()[0])
    expect(visit.page.locator("#viewer-stage")).to_be_hidden()
    visit.page.keyboard.press("Escape")
    visit.page.get_by_role("link", name="prompt-search").click()
    expect(visit.page.get_by_role("button", name="Browse 3 prompts")).to_be_visible()


def test_images_without_prompts(visit: Visit) -> None:
    visit.open("/?collection=silent&q=fox")
    expect(visit.tiles).to_have_count(12)
    expect(visit.page.locator("#kinds")).to_be_hidden()
    expect(visit.page.locator(".caption").first).to_be_hidden()
    expect(visit.tiles.first.locator("img")).to_have_attribute("alt", "Image without a prompt")
    visit.tiles.first.locator("a").click()
    expect(visit.viewer).to_contain_text("This image has no prompt.")
    expect(visit.viewer.get_by_role("button", name="Copy prompt")).to_have_count(0)


def test_a_refused_thumbnail_is_requested_again(visit: Visit) -> None:
    visit.provoked = "status of 503"
    visit.stop_clock()
    visit.page.route("**/thumbnail*", lambda route: route.fulfill(status=503))
    visit.search("red fox")
    visit.page.wait_for_function(ALL_IMAGES.format("img.classList.contains('awaited')"))
    before: list[dict[str, Any]] = visit.page.evaluate(BOXES)
    visit.page.unroute("**/thumbnail*")
    visit.page.clock.run_for(1500)  # the first pause at its longest
    visit.page.wait_for_function(ALL_IMAGES.format("img.naturalWidth > 0"))
    expect(visit.page.locator(".awaited, .missing")).to_have_count(0)
    after = {box["index"]: box for box in visit.page.evaluate(BOXES)}
    assert [after[box["index"]] for box in before] == before


def test_a_thumbnail_that_never_loads_is_replaced_by_its_prompt(visit: Visit) -> None:
    visit.provoked = "net::ERR_FAILED"
    requests: Counter[str] = Counter()

    def lose(route: Route) -> None:
        requests[route.request.url] += 1
        route.abort()

    visit.stop_clock()
    visit.page.route("**/thumbnail*", lose)
    visit.search("red fox")
    first = visit.service.get("/search/images", q="red fox", limit=1).json()["results"][0]
    address = visit.service.url + first["image"]["thumbnail"]
    lost = visit.tiles.first.locator(".frame.missing")
    while not lost.count():
        visit.page.clock.run_for(1000)
    assert requests[address] == 4
    expect(lost).to_have_text(re.compile(re.escape(first["prompt"]["text"][:40])))


@pytest.mark.parametrize("width", [360, 700, 1000, 2200])
def test_every_width_is_filled_and_never_scrolls_sideways(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 760})
    for address in ("/", "/?q=red+fox", f"/?q={'x' * 300}&kind=prompts", "/?q=fox&filter=%7B%22steps%22%3A20%7D"):
        visit.open(address)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.filters()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.drop(gallery.drawn(7), f"{'long' * 20}.png")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_resizing_keeps_the_position(visit: Visit) -> None:
    visit.search("red fox")
    first = """() => {
      const tiles = [...document.querySelectorAll('.tile')];
      return tiles.find((tile) => tile.getBoundingClientRect().bottom > 0).dataset.index;
    }"""
    visit.page.evaluate("scrollTo(0, 900)")
    visit.drawn()
    index = visit.page.evaluate(first)
    visit.page.set_viewport_size({"width": 640, "height": 800})
    visit.page.wait_for_function("() => document.querySelector('#results').clientWidth < 640")
    visit.drawn()
    assert abs(int(visit.page.evaluate(first)) - int(index)) <= 4
