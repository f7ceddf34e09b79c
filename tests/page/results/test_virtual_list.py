"""Endless scrolling: no result missing or repeated, and only those near the window in the document."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from promptsearch.encoding.encoders import Encoders
from promptsearch.search.ranking import MAX_PLACES
from promptsearch.storage.manifest import Manifest, ModelReference, current_version
from tests.page.visit import PATIENCE, Visit, visiting
from tests.service.support.serving import serving
from tests.support.vectors import build, random_vectors

pytestmark = pytest.mark.slow

# Scrolls by this many windows at a time and records every result rendered on the way, until the end.
TO_THE_END = """([leap, ends]) => {
  const { seen, most } = (window.record ??= { seen: new Map(), most: 0, frames: 0 });
  if (record.frames++ % 3) return false;  // the frames needed to render what is visible after a leap
  const drawn = [...document.querySelectorAll('#results > li')];
  for (const li of drawn) {
    const place = new URLSearchParams(li.querySelector('a').search).get('item');
    if ((seen.get(li.dataset.index) ?? place) !== place) throw new Error('moved');
    seen.set(li.dataset.index, place);
  }
  record.most = Math.max(most, drawn.length);
  const ended = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
  if (ended && document.querySelector('#status').textContent.match(ends)) return true;
  scrollBy(0, leap * innerHeight);
  return false;
}"""
RECORD = "{ places: [...record.seen].sort((a, b) => a[0] - b[0]).map(([, place]) => place), most: record.most }"


def seen_to_the_end(visit: Visit, ends: str, leap: int = 1) -> tuple[list[str], int]:
    """Return the places of the results drawn while scrolling until the status matches `ends`, and the most at once."""
    visit.page.wait_for_function(TO_THE_END, arg=[leap, ends], timeout=4 * PATIENCE)
    record: dict[str, Any] = visit.page.evaluate(f"({RECORD})")
    return record["places"], record["most"]


@pytest.mark.parametrize("kind", ["images", "prompts"])
def test_scrolling_shows_every_result_once_and_in_order(visit: Visit, kind: str) -> None:
    visit.open(f"/?q=red+fox&kind={kind}")
    results = visit.service.get(f"/search/{kind}", q="red fox", limit=200).json()["results"]
    places, _ = seen_to_the_end(visit, f"^{len(results)} {kind}")
    assert places == [f"{kind}/{result['id']}" for result in results]


def test_few_of_thousands_are_in_the_document(emoji: Visit) -> None:
    emoji.search("face")
    places, most = seen_to_the_end(emoji, "^5,160 images", leap=6)
    assert len(places) > 1000  # a leap passes some without drawing them
    assert len(places) == len(set(places))
    assert most < 150
    last = emoji.tiles.last
    expect(last).to_have_attribute("aria-posinset", "5160")
    expect(last).to_have_attribute("aria-setsize", "5160")


def test_the_end_of_a_search_is_not_reported_as_a_total(emoji: Visit) -> None:
    emoji.open("/?q=castle&sort=-image_count")
    assert re.match(r"The best 1,000 images · \d+ ms$", emoji.scroll_until("^The best"))
    emoji.open("/?q=castle&deduplicate=true")
    assert re.match(r"\d{3} of the best 1,000 images, best first", emoji.scroll_until("of the best"))
    emoji.open('/?q=castle&sort=-image_count&deduplicate=true&filter={"group":"flags"}')
    status = emoji.scroll_until("^[0-9]")
    assert re.match(r"\d+ images · ", status), "all there are: the search did not end earlier"


def test_ten_thousand_is_not_reported_as_a_total(browser: Browser, encoders: Encoders, tmp_path: Path) -> None:
    bundle = encoders.bundle
    collection = build(tmp_path / "indices" / "many", None, random_vectors(MAX_PLACES + 1, bundle.embedding_dim))
    version = current_version(collection)
    model = ModelReference(bundle.name, bundle.identity, bundle.embedding_dim)
    replace(Manifest.read(version), model=model).write(version)
    flags = ("--indices", str(tmp_path / "indices"), "--models", str(bundle.folder.parent))
    with serving(tmp_path, flags) as service, visiting(browser, service) as visit:
        visit.open("/?q=fox")
        assert visit.scroll_until("^The best").startswith("The best 10,000 prompts, best first")


def test_back_returns_to_the_same_position(emoji: Visit) -> None:
    emoji.search("castle")
    emoji.page.wait_for_function("() => { scrollTo(0, 4000); return scrollY > 3500; }")  # as more is loaded
    emoji.drawn()
    top = emoji.page.evaluate("scrollY")
    shown = emoji.shown()
    emoji.search("dog")
    assert emoji.page.evaluate("scrollY") == 0
    emoji.page.go_back()
    emoji.page.wait_for_function("top => Math.abs(scrollY - top) < 2", arg=top)
    emoji.drawn()
    assert emoji.shown() == shown


def test_a_focused_result_stays_when_scrolled_away(emoji: Visit) -> None:
    emoji.search("castle")
    emoji.tiles.first.locator("a").focus()
    emoji.page.wait_for_function("() => { scrollTo(0, 5000); return scrollY > 4500; }")
    emoji.page.wait_for_function("() => Number(document.querySelectorAll('.tile')[5].dataset.index) > 20")
    expect(emoji.tiles.first.locator("a")).to_be_focused()
    emoji.page.keyboard.press("ArrowRight")
    expect(emoji.tiles.nth(1).locator("a")).to_be_focused()
    emoji.page.wait_for_function("() => scrollY < 400")
