"""The choice of a collection."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page import gallery
from tests.page.visit import Visit

pytestmark = pytest.mark.slow


def test_another_collection_keeps_the_words_and_drops_the_filters(visit: Visit) -> None:
    visit.search("fox")
    visit.filters().get_by_label("ddim").check()
    expect(visit.status).to_contain_text("30 images")
    choice = visit.page.get_by_label("Collection")
    expect(choice).to_have_value("gallery")
    choice.select_option("words")
    visit.shows(visit.expected("prompts", q="fox", collection="words"))
    assert visit.parameters() == {"q": "fox", "collection": "words", "kind": "prompts"}
    expect(visit.page.get_by_label("Sampler")).to_have_count(0)
    choice.select_option("silent")
    expect(visit.tiles).to_have_count(12)
    visit.page.go_back()
    visit.shows(visit.expected("prompts", q="fox", collection="words"))
    expect(choice).to_have_value("words")


def test_another_collection_keeps_the_image(visit: Visit) -> None:
    visit.drop(gallery.drawn(3), "three.png")
    visit.page.get_by_label("Collection").select_option("silent")
    expect(visit.tiles).to_have_count(12)
    expect(visit.tiles.first.locator(".score")).to_have_text("1.000")


def test_a_similar_item_becomes_words_in_another_collection(visit: Visit) -> None:
    visit.search("several foxes")
    visit.tiles.first.hover()
    text = visit.shown()[0]
    visit.tiles.first.get_by_role("button", name="More like").click()
    expect(visit.page.locator("#chips")).to_contain_text("Like")
    visit.page.get_by_label("Collection").select_option("silent")
    expect(visit.box).to_have_value(text)


def test_the_choice_is_hidden_for_a_single_collection(emoji: Visit) -> None:
    expect(emoji.page.get_by_label("Collection")).to_be_hidden()


def test_an_unknown_collection(visit: Visit) -> None:
    visit.provoked = "status of 404"
    visit.open("/?q=fox&collection=none")
    expect(visit.notice).to_contain_text("Unknown collection 'none'")
    visit.page.get_by_role("button", name="Search in gallery").click()
    visit.shows(visit.expected("images", q="fox"))
