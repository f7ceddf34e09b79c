"""Endless results: nothing missing, nothing twice, and never more in the page than is near the window."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from promptsearch.encoding.encoders import Encoders
from promptsearch.search.ranking import MAX_PLACES
from promptsearch.storage.manifest import Manifest, ModelReference, current_version
from tests.page.visit import Visit, visiting
from tests.service.support.serving import serving
from tests.support.vectors import build, random_vectors

pytestmark = pytest.mark.slow

# Scrolls to the end and notes every result that was drawn on the way.
TO_THE_END = """async (least) => {
  const seen = new Map();
  let most = 0;
  for (let still = 0; still < 40; still++) {
    for (const li of document.querySelectorAll('#results > li')) {
      const place = new URLSearchParams(li.querySelector('a').search).get('item');
      if (seen.has(li.dataset.index) && seen.get(li.dataset.index) !== place) throw new Error('moved');
      seen.set(li.dataset.index, place);
    }
    most = Math.max(most, document.querySelectorAll('#results > li').length);
    const before = scrollY;
    scrollBy(0, innerHeight);
    await new Promise((done) => setTimeout(done, 30));
    if (scrollY > before) still = -1;
    else if (seen.size >= least) break;
  }
  return { places: [...seen].sort((a, b) => a[0] - b[0]).map(([, place]) => place), most };
}"""


@pytest.mark.parametrize("kind", ["images", "prompts"])
def test_everything_comes_once_and_in_order(visit: Visit, kind: str) -> None:
    visit.open(f"/?q=red+fox&kind={kind}")
    answer = visit.service.get(f"/search/{kind}", q="red fox", limit=200).json()
    found = visit.page.evaluate(TO_THE_END, len(answer["results"]))
    assert found["places"] == [f"{kind}/{one['id']}" for one in answer["results"]]
    expect(visit.status).to_contain_text(f"{len(answer['results'])} {'pictures' if kind == 'images' else 'prompts'}")


def test_thousands_stay_few_in_the_page(emoji: Visit) -> None:
    emoji.search("face")
    found = emoji.page.evaluate(TO_THE_END.replace("innerHeight)", "6 * innerHeight)"), 5160)
    expect(emoji.status).to_contain_text("5,160 pictures")
    assert len(found["places"]) > 1000  # a leap passes some without drawing them
    assert len(found["places"]) == len(set(found["places"]))
    assert found["most"] < 150
    last = emoji.tiles.last
    expect(last).to_have_attribute("aria-posinset", "5160")
    expect(last).to_have_attribute("aria-setsize", "5160")


def said_at_the_end(visit: Visit, begins: str) -> str:
    """Scroll on until the status begins so."""
    visit.page.wait_for_function(
        """(begins) => {
          scrollTo(0, document.documentElement.scrollHeight);
          return document.querySelector('#status').textContent.match(begins);
        }""",
        arg=begins,
    )
    return visit.status.text_content() or ""


def test_where_a_search_ends_is_no_total(emoji: Visit) -> None:
    emoji.open("/?q=castle&sort=-image_count")
    assert re.match(r"The best 1,000 pictures · \d+ ms$", said_at_the_end(emoji, "^The best"))
    emoji.open("/?q=castle&deduplicate=true")
    assert re.match(r"\d{3} of the best 1,000 pictures, best first", said_at_the_end(emoji, "of the best"))
    emoji.open('/?q=castle&sort=-image_count&deduplicate=true&filter={"group":"flags"}')
    found = said_at_the_end(emoji, "^[0-9]")
    assert re.match(r"\d+ pictures · ", found), "all that there are: the search did not end before"


def test_ten_thousand_are_no_total(browser: Browser, encoders: Encoders, tmp_path: Path) -> None:
    bundle = encoders.bundle
    collection = build(tmp_path / "indices" / "many", None, random_vectors(MAX_PLACES + 1, bundle.embedding_dim))
    version = current_version(collection)
    model = ModelReference(bundle.name, bundle.identity, bundle.embedding_dim)
    replace(Manifest.read(version), model=model).write(version)
    flags = ("--indices", str(tmp_path / "indices"), "--models", str(bundle.folder.parent))
    with serving(tmp_path, flags) as service, visiting(browser, service) as visit:
        visit.open("/?q=fox")
        assert said_at_the_end(visit, "^The best").startswith("The best 10,000 prompts, best first")


def test_back_returns_to_the_same_place(emoji: Visit) -> None:
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


def test_what_is_focused_stays_when_it_is_scrolled_away(emoji: Visit) -> None:
    emoji.search("castle")
    emoji.tiles.first.locator("a").focus()
    emoji.page.wait_for_function("() => { scrollTo(0, 5000); return scrollY > 4500; }")
    emoji.page.wait_for_function("() => Number(document.querySelectorAll('.tile')[5].dataset.index) > 20")
    expect(emoji.tiles.first.locator("a")).to_be_focused()
    emoji.page.keyboard.press("ArrowRight")
    expect(emoji.tiles.nth(1).locator("a")).to_be_focused()
    emoji.page.wait_for_function("() => scrollY < 400")
