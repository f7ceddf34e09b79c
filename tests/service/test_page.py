"""The page at `/`, as someone with a browser meets it: a real service and a real Chromium."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FilePayload,
    JSHandle,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

from builder.embed import embed
from builder.index import index
from builder.publish import publish
from builder.sources import open_source
from promptsearch.encoders import Encoders
from tests.drawing import as_bytes, picture
from tests.service.serving import Service, serving

pytestmark = pytest.mark.slow

PICTURES = 70  # more than two of the page's pages
MARKUP = "<img src=x onerror=\"document.title='broken in'\"> & <b>bold</b>"
# Root (a container) has no sandbox; the rest keeps Chromium from calling home, which is no part of the page.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 30_000  # ms, on a busy machine
DROP = """([bytes, name, type]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], name, { type }));
  return carried;
}"""


def build(indices: Path, name: str, rows: list[str], encoders: Encoders) -> None:
    source = indices.parent / f"{name}-source"
    source.mkdir()
    for number in range(PICTURES):
        (source / f"{number}.png").write_bytes(as_bytes(picture(number, 48, 40)))
    (source / "manifest.csv").write_text("\n".join(("image,prompt", *rows)) + "\n", encoding="utf-8")
    embed(open_source("manifest", source, None), encoders, encoders.bundle, indices / name, engine_name="onnx")
    index(indices / name)
    publish(indices / name)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def gallery(models: Path, encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two collections: `gallery` has many pictures, one with a hostile prompt; `words` has none."""
    folder = tmp_path_factory.mktemp("page")
    indices = folder / "indices"
    indices.mkdir()
    prompts = [MARKUP, *(f"a fox in {number} colours" for number in range(1, PICTURES))]
    build(indices, "gallery", [f"{n}.png,{quoted(prompt)}" for n, prompt in enumerate(prompts)], encoders)
    build(indices, "words", [",only words", ",more words"], encoders)
    flags = ("--indices", str(indices), "--models", str(models), "--collection", "gallery")
    with serving(folder, flags) as service:
        yield service
        assert service.end() == 0
        assert service.stderr.read_text(encoding="utf-8") == ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with this module: while it runs, no other test could have an event loop of its own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        reason = f"the page's tests need a browser: install Chromium (none of {', '.join(names)} is on the PATH)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that is open in a window of its own, and what it may not do."""

    page: Page
    service: Service
    provoked: str | None = None  # what Chromium logs of an error that the test means to happen
    complaints: list[str] = field(default_factory=list)

    def heard(self, message: ConsoleMessage) -> None:
        meant = self.provoked is not None and self.provoked in message.text
        if message.type in ("error", "warning") and not meant:
            self.complaints.append(f"{message.type}: {message.text}")

    def asked(self, request: Request) -> None:
        if not request.url.startswith((self.service.url + "/", "blob:", "data:")):
            self.complaints.append(f"a request to another host: {request.url}")

    def open(self, address: str = "/") -> None:
        self.page.goto(self.service.url + address)
        expect(self.page.get_by_label("Collection")).to_be_visible()  # the page has asked what there is

    def search(self, text: str) -> None:
        self.page.get_by_role("searchbox").fill(text)
        self.page.get_by_role("searchbox").press("Enter")
        expect(self.page).to_have_url(re.compile(rf"[?&]q={re.escape(quote_plus(text))}(&|$)"))
        self.settled()

    def settled(self) -> None:
        """Wait for the answer to what was asked last."""
        expect(self.page.locator("main[aria-busy=false]")).to_be_attached()

    def carried(self, content: bytes, name: str, type: str) -> JSHandle:
        """A DataTransfer with one file."""
        return self.page.evaluate_handle(DROP, [list(content), name, type])

    def drop(self, content: bytes, name: str, type: str) -> None:
        carried = self.carried(content, name, type)
        self.page.dispatch_event("body", "dragover", {"dataTransfer": carried})
        expect(self.page.get_by_text("Drop the picture")).to_be_visible()
        self.page.dispatch_event("body", "drop", {"dataTransfer": carried})
        expect(self.page.get_by_text("Drop the picture")).to_be_hidden()
        expect(self.page.get_by_text(name)).to_be_visible()
        self.settled()

    def shown(self) -> list[str]:
        """The texts of the results, in their order."""
        return self.page.locator("#results .text").all_text_contents()

    def expected(self, kind: str, q: str, limit: int) -> list[str]:
        results = self.service.get(f"/search/{kind}", q=q, limit=limit).json()["results"]
        return [result["prompt"]["text"] if kind == "images" else result["text"] for result in results]


@pytest.fixture
def visit(browser: Browser, gallery: Service) -> Iterator[Visit]:
    """The page just opened; once the test is done, nothing may have gone wrong unseen."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    visit = Visit(context.new_page(), gallery)
    visit.page.on("console", visit.heard)
    visit.page.on("pageerror", lambda error: visit.complaints.append(f"uncaught: {error}"))
    visit.page.on("request", visit.asked)
    visit.open()
    yield visit
    context.close()
    assert visit.complaints == []


def test_files_are_served_under_a_strict_policy(gallery: Service) -> None:
    kinds = {"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/docs": "text/html"}
    for path, kind in kinds.items():
        answer = gallery.get(path)
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        again = httpx.get(gallery.url + path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    assert gallery.get("/nothing.js").headers["content-type"] == "application/problem+json"


def test_typing_shows_pictures_with_their_prompts(visit: Visit) -> None:
    expect(visit.page.get_by_role("heading")).to_be_visible()
    visit.page.get_by_role("searchbox").press_sequentially("red fox", delay=20)  # and no Enter
    cards = visit.page.locator(".card")
    expect(cards).to_have_count(30)
    assert visit.shown() == visit.expected("images", "red fox", 30)
    for card in cards.all()[:8]:
        image = card.locator("img")
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
        expect(image).to_have_attribute("alt", card.locator(".text").text_content() or "")
        expect(card.locator(".score")).to_have_text(re.compile(r"-?\d\.\d{3}"))
    expect(visit.page.get_by_role("status")).to_have_text(re.compile("30 pictures"))
    expect(visit.page.get_by_role("heading")).to_be_hidden()
    expect(visit.page).to_have_title("red fox · prompt-search")


def test_what_is_typed_is_one_step_of_history(visit: Visit) -> None:
    for text in ("red", " fox"):
        visit.page.get_by_role("searchbox").press_sequentially(text)
        expect(visit.page).to_have_title(re.compile(f"{text.strip()} · "))
    visit.page.go_back()
    expect(visit.page.get_by_role("heading")).to_be_visible()
    expect(visit.page.get_by_role("searchbox")).to_have_value("")


def test_what_is_typed_before_the_page_is_ready_is_kept(visit: Visit) -> None:
    waiting: list[Route] = []
    visit.page.route("**/collections", lambda route: waiting.append(route))
    visit.page.goto(visit.service.url)
    visit.page.get_by_role("searchbox").fill("red fox")
    waiting[0].continue_()
    expect(visit.page.get_by_label("Collection")).to_be_visible()
    expect(visit.page.locator(".card")).to_have_count(30)
    expect(visit.page.get_by_role("searchbox")).to_have_value("red fox")
    assert visit.shown() == visit.expected("images", "red fox", 30)


def test_examples_are_queries(visit: Visit) -> None:
    visit.page.get_by_role("button", name="happy dog").click()
    expect(visit.page.locator(".card")).to_have_count(30)
    expect(visit.page.get_by_role("searchbox")).to_have_value("happy dog")
    assert visit.shown() == visit.expected("images", "happy dog", 30)


def test_switch_to_prompts_by_keyboard(visit: Visit) -> None:
    visit.search("red fox")
    visit.page.get_by_role("radio", name="Images").focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.page.locator(".line")).to_have_count(20)
    expect(visit.page).to_have_url(re.compile("kind=prompts"))
    assert visit.shown() == visit.expected("prompts", "red fox", 20)
    image = visit.page.locator(".line img").first
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0


@pytest.mark.parametrize(("kind", "first"), [("images", 30), ("prompts", 20)])
def test_more_appends_without_duplicates(visit: Visit, kind: str, first: int) -> None:
    visit.open(f"/?q=red+fox&kind={kind}")
    results = visit.page.locator("#results > li")
    more = visit.page.get_by_role("button", name="Show more")
    for count in range(first, PICTURES, first):
        expect(results).to_have_count(count)
        more.dblclick()  # an impatient one
    expect(results).to_have_count(PICTURES)
    expect(more).to_be_hidden()
    assert visit.shown() == visit.expected(kind, "red fox", PICTURES)
    assert len(set(visit.shown())) == PICTURES


def test_back_and_forward_restore(visit: Visit) -> None:
    visit.search("red fox")
    foxes = visit.shown()
    visit.page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    visit.search("blue cat")
    assert visit.page.evaluate("scrollY") == 0
    cats = visit.shown()
    assert foxes != cats
    visit.page.get_by_role("radio", name="Prompts").check(force=True)  # its label's text is over it
    expect(visit.page.locator(".line")).to_have_count(20)
    visit.page.go_back()
    expect(visit.page.locator(".card")).to_have_count(30)
    assert visit.shown() == cats
    expect(visit.page.get_by_role("radio", name="Images")).to_be_checked()
    visit.page.go_back()
    expect(visit.page.get_by_role("searchbox")).to_have_value("red fox")
    visit.settled()
    assert visit.shown() == foxes
    visit.page.reload()
    expect(visit.page.locator(".card")).to_have_count(30)
    assert visit.shown() == foxes
    visit.page.go_forward()
    expect(visit.page.get_by_role("searchbox")).to_have_value("blue cat")


def test_dropped_picture_finds_itself(visit: Visit) -> None:
    visit.drop(as_bytes(picture(7, 48, 40)), "seven.png", "image/png")
    expect(visit.page.locator(".card")).to_have_count(30)
    first = visit.page.locator(".card").first
    expect(first.locator(".text")).to_have_text("a fox in 7 colours")
    expect(first.locator(".score")).to_have_text("1.000")
    preview = visit.page.locator("#chip img")
    expect(preview).to_have_js_property("naturalWidth", 48)

    alone = visit.shown()
    visit.search("blue cat")  # together with the picture
    assert visit.shown() != alone
    assert visit.shown() != visit.expected("images", "blue cat", 30)
    visit.page.go_back()
    expect(visit.page.get_by_role("searchbox")).to_have_value("")
    visit.settled()
    assert visit.shown() == alone
    visit.page.go_back()
    expect(preview).to_be_hidden()
    expect(visit.page.get_by_role("heading")).to_be_visible()
    visit.page.go_forward()
    expect(preview).to_be_visible()
    visit.page.get_by_role("button", name="Search without this picture").click()
    expect(visit.page.get_by_role("heading")).to_be_visible()


def test_pasted_and_chosen_pictures(visit: Visit) -> None:
    carried = visit.carried(as_bytes(picture(8, 48, 40)), "eight.png", "image/png")
    visit.page.evaluate(
        "clipboardData => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true}))",
        carried,
    )
    first = visit.page.locator(".card .text").first
    expect(first).to_have_text("a fox in 8 colours")
    chosen = FilePayload(name="nine.png", mimeType="image/png", buffer=as_bytes(picture(9, 48, 40)))
    visit.page.get_by_label("Search by a picture").set_input_files(chosen)
    expect(first).to_have_text("a fox in 9 colours")


def test_dropped_text_shows_what_the_service_says(visit: Visit) -> None:
    visit.provoked = "status of 415"
    said = httpx.post(f"{visit.service.url}/search/images", files={"image": b"no picture at all"}).json()["detail"]
    visit.drop(b"no picture at all", "notes.txt", "text/plain")
    expect(visit.page.get_by_role("alert")).to_have_text(said)
    expect(visit.page.locator("#results > li")).to_have_count(0)
    visit.drop(as_bytes(picture(7, 48, 40)), "seven.png", "image/png")
    expect(visit.page.get_by_role("alert")).to_be_hidden()
    expect(visit.page.locator(".card")).to_have_count(30)


def test_similar(visit: Visit) -> None:
    visit.search("red fox")
    text = visit.shown()[0]
    visit.page.get_by_role("button", name=f"Similar to {text}", exact=True).click()
    expect(visit.page.get_by_text(f"Similar to “{text}”")).to_be_visible()
    visit.settled()
    assert text not in visit.shown()
    shown = visit.shown()
    visit.page.reload()  # the address says it all
    expect(visit.page.get_by_text(f"Similar to “{text}”")).to_be_visible()
    visit.settled()
    assert visit.shown() == shown
    visit.page.get_by_role("button", name="Show more").click()
    expect(visit.page.locator(".card")).to_have_count(60)
    visit.page.get_by_role("radio", name="Prompts").check(force=True)  # an image's id is no prompt's: its text is asked
    expect(visit.page.locator(".line .text").first).to_have_text(text)


def test_prompt_is_text_and_never_markup(visit: Visit) -> None:
    for kind in ("images", "prompts"):
        visit.open(f"/?kind={kind}")
        visit.page.get_by_role("searchbox").fill(MARKUP)
        visit.settled()
        expect(visit.page.locator("#results > li").first).to_be_visible()
        if kind == "images":
            visit.drop(as_bytes(picture(0, 48, 40)), "zero.png", "image/png")
        hostile = visit.page.get_by_text(MARKUP, exact=True)
        expect(hostile).to_be_visible()
        hostile.locator("xpath=ancestor::li").get_by_role("button").click()
        expect(visit.page.get_by_text(f"“{MARKUP}”")).to_be_visible()
        visit.settled()
        assert visit.page.locator("img[src=x], #results b, #chip b").count() == 0
        expect(visit.page).to_have_title("similar · prompt-search")


def test_collections_are_offered_and_one_without_pictures_leads_to_its_prompts(visit: Visit) -> None:
    visit.provoked = "status of 409"
    visit.search("red fox")
    choice = visit.page.get_by_label("Collection")
    expect(choice).to_have_value("gallery")
    choice.select_option("words")
    expect(visit.page.get_by_role("alert")).to_have_text("This collection has no pictures to search.")
    visit.page.get_by_role("button", name="Search the prompts instead").click()
    expect(visit.page.locator(".line")).to_have_count(2)
    assert set(visit.shown()) == {"only words", "more words"}
    expect(visit.page).to_have_url(re.compile("collection=words"))
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_one_collection_needs_no_choice(browser: Browser, server: Service) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/?q=fox")
    expect(page.locator(".card")).to_have_count(3)
    expect(page.get_by_label("Collection")).to_be_hidden()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(page.locator(".card a[href^='/images/']")).to_have_count(3)  # the originals
    context.close()


def test_unknown_collection_is_an_error_that_is_said(visit: Visit) -> None:
    visit.provoked = "status of 404"
    visit.open("/?q=fox&collection=none")
    expect(visit.page.get_by_role("alert")).to_contain_text("there is no collection 'none'")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_visible()


def test_stale_answer_never_replaces_a_newer_one(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/search/images?q=slow*", lambda route: held.append(route))
    visit.page.get_by_role("searchbox").fill("slow")
    expect(visit.page.get_by_role("status")).to_have_text("Searching…")
    visit.search("red fox")
    assert len(held) == 1
    with contextlib.suppress(PlaywrightError):  # given up by the page already
        held[0].continue_()
    visit.page.wait_for_timeout(500)
    assert visit.shown() == visit.expected("images", "red fox", 30)
    expect(visit.page.get_by_role("alert")).to_be_hidden()


def test_lost_picture_becomes_its_prompt_and_a_lost_service_is_said(visit: Visit) -> None:
    visit.provoked = "net::ERR_FAILED"
    visit.page.route("**/thumbnail*", lambda route: route.abort())
    visit.search("red fox")
    expect(visit.page.locator(".frame.missing").first).to_have_text(visit.expected("images", "red fox", 1)[0])
    visit.page.route("**/search/**", lambda route: route.abort())
    visit.page.get_by_role("searchbox").fill("blue cat")
    expect(visit.page.get_by_role("alert")).to_contain_text("did not answer")
    visit.page.unroute("**/search/**")
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.locator(".card")).to_have_count(30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_window_never_scrolls_sideways(visit: Visit, scheme: str) -> None:
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visit.page.set_viewport_size({"width": 360, "height": 640})
    for address in ("/", "/?q=red+fox", f"/?q={'x' * 300}&kind=prompts"):
        visit.open(address)
        visit.settled()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    visit.drop(as_bytes(picture(7, 48, 40)), f"{'long' * 20}.png", "image/png")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    dark = visit.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(v => v < 64)")
    assert dark == (scheme == "dark")


def test_the_description_works_under_the_same_policy(visit: Visit) -> None:
    """Swagger UI reads the API and asks it, without a script or style that the policy would have to allow."""
    visit.page.goto(visit.service.url + "/docs")
    expect(visit.page.get_by_role("heading", name="prompt-search")).to_be_visible()
    visit.page.locator("#operations-service-healthz_healthz_get button").first.click()
    visit.page.get_by_role("button", name="Try it out").click()
    visit.page.get_by_role("button", name="Execute").click()
    expect(visit.page.locator(".live-responses-table").get_by_text('"ok"')).to_be_visible()


KEY = "a-key-of-the-page-0123"


@pytest.fixture(scope="module")
def locked(gallery: Service, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The collections of `gallery`, for those who have a key."""
    indices = gallery.stdout.parent / "indices"
    flags = ("--indices", str(indices), "--models", str(models), "--collection", "gallery")
    folder = tmp_path_factory.mktemp("locked-page")
    with serving(folder, flags, settings={"PROMPT_SEARCH_API_KEYS": KEY}) as service:
        yield service
        assert service.end() == 0
        assert service.errors() == []


def test_a_key_is_asked_for_once_and_then_pictures_load(browser: Browser, locked: Service) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{locked.url}/?q=a+fox+in+3+colours")
    expect(page.get_by_text("This service asks for an API key.")).to_be_visible()
    page.get_by_label("API key").fill("not-the-key-0123456789")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("this API key is not known here")).to_be_visible()
    page.get_by_label("API key").fill(KEY)
    page.get_by_label("API key").press("Enter")
    expect(page.locator("#results .card")).to_have_count(30)
    expect(page.get_by_label("API key")).to_be_hidden()
    expect(page.get_by_label("Collection")).to_be_visible()
    page.wait_for_function("[...document.querySelectorAll('#results img')].some((img) => img.naturalWidth > 0)")
    assert page.evaluate("document.cookie") == ""  # no script can read it
    page.reload()
    expect(page.locator("#results .card")).to_have_count(30)
    expect(page.get_by_label("API key")).to_be_hidden()
    context.close()
