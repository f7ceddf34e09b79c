"""Accessibility: the keyboard alone, axe's rules in every state, light and dark, reduced motion."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.page import gallery
from tests.page.visit import Visit, visiting
from tests.service.support.serving import Service

pytestmark = pytest.mark.slow

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # the rules of these tags that look at colours
RUN = """async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly });
  const where = ({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(where).join(' | ')}`);
}"""
IS_DARK = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(v => v < 64)"
SEARCHES = "**/search/images?*"
REFUSALS = ((410, "cursor-gone"), (429, "rate-exceeded"), (500, "internal"), (503, "overloaded"))


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe finds in light and in dark colours."""
    page.evaluate(axe)
    page.emulate_media(color_scheme="light")
    assert not page.evaluate(IS_DARK)
    failures: list[str] = page.evaluate(RUN, TAGS)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(IS_DARK)
    failures += page.evaluate(RUN, OF_COLOURS)
    return failures


@pytest.mark.parametrize("width", [390, 800, 1200])
def test_axe_finds_nothing_in_any_state(browser: Browser, small: Service, axe: str, width: int) -> None:
    viewport = {"width": width, "height": 800}
    with visiting(browser, small, reduced_motion="reduce", viewport=viewport) as visit:
        visit.provoked = "status of [45]|net::ERR_"
        failures: dict[str, list[str]] = {}

        def collect(state: str) -> None:
            failures[state] = violations(visit.page, axe)

        check_after_open = {
            "welcome": "/",
            "images": "/?q=red+fox",
            "prompts": "/?q=red+fox&kind=prompts&negative=blue",
            "words": "/?q=words&collection=words",
            "silent": "/?q=fox&collection=silent",
            "empty": "/?q=fox&min_score=1",
            "error": '/?q=fox&filter={"stepz":3}',
            "gone": "/?q=fox&item=images/00000000000000000000",
        }
        for state, address in check_after_open.items():
            visit.open(address)
            collect(state)
        visit.open('/?q=several+foxes&mode=keyword&group_by=prompt&filter={"steps":{"gte":20}}')
        visit.filters()
        collect("filters and chips")
        visit.tiles.first.locator("a").click()
        expect(visit.page.locator("#viewer-facts")).to_contain_text("blurry")
        collect("viewer")
        visit.open("/?q=several+foxes&mode=keyword&kind=prompts")
        visit.rows.first.locator(".text").click()
        expect(visit.viewer).to_be_visible()
        collect("viewer of a prompt")
        visit.open()
        visit.drop(gallery.drawn(7))
        collect("picture")
        visit.page.reload()
        visit.settled()
        collect("lost picture")
        visit.open("/?q=red+fox")
        expect(visit.tiles.first.locator("img")).to_have_js_property("complete", True)
        held: list[Route] = []
        visit.page.route(SEARCHES, lambda route: held.append(route))
        visit.box.fill("slow")
        expect(visit.page.locator("main[aria-busy=true]")).to_be_attached()
        collect("busy")
        for route in held:
            route.continue_()
        visit.page.unroute(SEARCHES)
        visit.settled()
        for status, type in REFUSALS:
            visit.refuse(SEARCHES, status, type, "it was refused")
            visit.open("/?q=refused")
            expect(visit.notice).not_to_be_empty()
            collect(type)
            visit.page.unroute(SEARCHES)
        visit.page.route(SEARCHES, lambda route: route.abort())
        visit.open("/?q=unreachable")
        expect(visit.notice).to_contain_text("not responding")
        collect("unreachable")
        visit.page.unroute(SEARCHES)
        visit.page.context.set_offline(True)
        visit.box.fill("offline")
        expect(visit.notice).to_contain_text("offline")
        collect("offline")
    assert failures == {state: [] for state in failures}


@pytest.mark.parametrize("width", [390, 1200])
def test_axe_finds_nothing_in_the_demo(browser: Browser, demo: Service, axe: str, width: int) -> None:
    viewport = {"width": width, "height": 800}
    with visiting(browser, demo, reduced_motion="reduce", viewport=viewport) as visit:
        visit.open()
        assert violations(visit.page, axe) == []
        visit.search("castle")
        visit.filters()
        assert violations(visit.page, axe) == []


def press(page: Page, key: str, until: str, most: int = 40) -> None:
    """Press a key until the focused element matches."""
    for _ in range(most):
        if page.evaluate("selector => document.activeElement.matches(selector)", until):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {until}")


def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    page = visit.page
    expect(visit.box).to_be_focused()  # on arrival
    page.keyboard.type("red fox")
    visit.shows(visit.expected("images", q="red fox"))
    press(page, "Tab", "#exclude")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    press(page, "Tab", "#show-filters")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Filters")).to_be_visible()
    press(page, "Tab", "#filters summary")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Filters")).to_be_hidden()
    expect(page.locator("#show-filters")).to_be_focused()
    press(page, "Tab", ".tile a")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    below = page.evaluate("Number(document.activeElement.closest('li').dataset.index)")
    assert below > 2
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    expect(visit.tiles.first.locator("a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(visit.viewer).to_be_visible()
    press(page, "Tab", "#viewer-facts button")
    page.keyboard.press("Escape")
    expect(visit.tiles.first.locator("a")).to_be_focused()
    page.keyboard.press("End")
    page.wait_for_function("() => Number(document.activeElement.closest('li').dataset.index) > 40")
    expect(page.locator("a:focus")).to_be_in_viewport()


def test_focus_is_visible(visit: Visit) -> None:
    visit.search("red fox")
    page = visit.page
    page.evaluate("document.activeElement.blur()")
    for _ in range(12):
        page.keyboard.press("Tab")
        visible = page.evaluate("""() => {
          const own = document.activeElement;
          const around = [own, own.nextElementSibling, own.parentElement, own.closest('.box')].filter(Boolean);
          return around.map(getComputedStyle).some((look) => look.outlineStyle !== 'none' || look.boxShadow !== 'none');
        }""")
        assert visible, page.evaluate("document.activeElement.outerHTML")


def test_the_skip_link_leads_to_the_results(visit: Visit) -> None:
    visit.search("red fox")
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("Shift+Tab")
    link = visit.page.get_by_role("link", name="Skip to results")
    link.focus()
    expect(link).to_be_in_viewport()
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Tab")
    expect(visit.tiles.first.locator("a")).to_be_focused()


def test_the_number_of_results_is_announced(visit: Visit) -> None:
    status = visit.page.get_by_role("status").first
    visit.search("red fox")
    expect(status).to_have_text(re.compile("images, best first"))
    expect(visit.notice).to_be_empty()


def test_nothing_moves_if_reduced_motion_is_preferred(browser: Browser, small: Service) -> None:
    with visiting(browser, small, reduced_motion="reduce") as visit:
        visit.open("/?q=red+fox")
        visit.tiles.first.locator("a").click()
        expect(visit.viewer).to_be_visible()
        moving = visit.page.evaluate("document.getAnimations().length")
        assert moving == 0
