"""Drive the page in a browser, and record errors and requests that must not occur."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, JSHandle, Locator, Page, Request, expect

from promptsearch.errors import PROBLEM
from tests.service.support.serving import Service

PATIENCE = 30_000  # ms, on a busy machine
_TRANSFER = """([bytes, name, type]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
  return transfer;
}"""


@dataclass
class Visit:
    page: Page
    service: Service
    provoked: str | None = None  # pattern of the console errors that the test provokes
    complaints: list[str] = field(default_factory=list)

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("searchbox", name="Search images and prompts")

    @property
    def tiles(self) -> Locator:
        return self.page.locator("#results .tile")

    @property
    def rows(self) -> Locator:
        return self.page.locator("#results .prompt")

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    @property
    def notice(self) -> Locator:
        return self.page.locator("#notice [role=alert]")

    @property
    def viewer(self) -> Locator:
        return self.page.get_by_role("dialog")

    def open(self, address: str = "/") -> None:
        self.page.goto(self.service.url + address)
        self.settled()

    def settled(self) -> None:
        """Wait until the last query's results or a notice are shown."""
        expect(self.page.locator("main[aria-busy=false]")).to_be_attached()
        there = self.page.locator("#results > li, #welcome, #notice")
        expect(there.filter(visible=True).first).to_be_visible()

    def stop_clock(self) -> None:
        """Stop the page's timers and frames; `page.clock.run_for` advances them."""
        self.page.clock.install(time=0)
        self.page.clock.pause_at(3600)  # later than the clock can have run to meanwhile

    def drawn(self) -> None:
        """Wait until everything near the window is loaded and rendered: nothing new for ten frames."""
        self.page.evaluate(
            """() => new Promise(done => {
                let before = "", still = 0;
                const results = document.querySelector("#results"), status = document.querySelector("#status");
                // More results are loading while less than one and a half windows (results.js) of them are left.
                const loaded = () => !status.textContent.startsWith("The first") ||
                    results.getBoundingClientRect().bottom >= 2.5 * innerHeight;
                const look = () => {
                    const now = [...results.children].map(li => li.dataset.index).join();
                    still = loaded() && now === before ? still + 1 : 0;
                    before = now;
                    still < 10 ? requestAnimationFrame(look) : done();
                };
                look();
            })"""
        )

    def scroll_until(self, status: str) -> str:
        """Scroll to the end of the loaded results until the status matches; return it."""
        self.page.wait_for_function(
            """(pattern) => {
              scrollTo(0, document.documentElement.scrollHeight);
              return document.querySelector("#status").textContent.match(pattern);
            }""",
            arg=status,
            timeout=4 * PATIENCE,
        )
        return self.status.text_content() or ""

    def search(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Enter")
        expect(self.page).to_have_title(f"{text} · prompt-search")
        self.settled()

    def kind(self, name: str) -> None:
        """Choose Images or Prompts."""
        self.page.locator("#kinds").get_by_text(name, exact=True).click()
        self.settled()

    def filters(self) -> Locator:
        """Open the filter panel and return it."""
        button = self.page.get_by_role("button", name="Filters")
        if button.get_attribute("aria-expanded") == "false":
            button.click()
        panel = self.page.get_by_role("region", name="Filters")
        expect(panel.locator("details").first).to_be_visible()
        return panel

    def chips(self) -> list[str]:
        return self.page.locator("#chips .label").all_text_contents()

    def shown(self) -> list[str]:
        """Return the texts of the rendered results, in order."""
        return self.page.locator("#results .caption, #results .prompt .text").all_text_contents()

    def expected(self, kind: str, limit: int = 200, **parameters: str | int) -> list[str]:
        """Return the texts of the API's results."""
        answer = self.service.get(f"/search/{kind}", limit=limit, **parameters)
        assert answer.status_code == 200, answer.text
        return texts(answer.json())

    def shows(self, expected: list[str]) -> None:
        """Wait until the rendered results are the first of these."""
        self.page.wait_for_function(
            """([selector, expected]) => {
              const shown = [...document.querySelectorAll(selector)].map((element) => element.textContent);
              return shown.length > 0 && expected.length > 0 && shown.every((text, at) => text === expected[at]);
            }""",
            arg=["#results .caption, #results .prompt .text", expected],
        )

    def transfer(self, content: bytes, name: str, type: str) -> JSHandle:
        """Return a DataTransfer with one file."""
        return self.page.evaluate_handle(_TRANSFER, [list(content), name, type])

    def drop(self, content: bytes, name: str = "picture.png", type: str = "image/png") -> None:
        transfer = self.transfer(content, name, type)
        self.page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
        expect(self.page.get_by_text("Drop the image")).to_be_visible()
        self.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
        expect(self.page.get_by_text("Drop the image")).to_be_hidden()
        expect(self.page.locator("#chips")).to_contain_text(name[:60])
        self.settled()

    def refuse(self, addresses: str, status: int, type: str, detail: str) -> None:
        """Answer requests to these addresses with a problem, until they are unrouted."""
        problem = {"type": PROBLEM + type, "status": status, "detail": detail}
        headers = {"Retry-After": "30"}
        self.page.route(addresses, lambda route: route.fulfill(status=status, json=problem, headers=headers))

    def parameters(self) -> dict[str, str]:
        """Return the URL's parameters."""
        parameters: dict[str, str] = self.page.evaluate("Object.fromEntries(new URLSearchParams(location.search))")
        return parameters

    def on_console(self, message: ConsoleMessage) -> None:
        provoked = self.provoked is not None and re.search(self.provoked, message.text)
        if "net::ERR_NETWORK_CHANGED" in message.text:  # a container that starts adds a network interface
            return
        if message.type in ("error", "warning") and not provoked:
            self.complaints.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.service.url + "/", "blob:", "data:")):
            self.complaints.append(f"a request to another host: {request.url}")


def texts(answer: dict[str, Any]) -> list[str]:
    """Return the prompts of an answer's results; "" for an image without a prompt."""
    results = answer["results"]
    return [result["text"] if "text" in result else (result["prompt"] or {"text": ""})["text"] for result in results]


@contextmanager
def visiting(browser: Browser, service: Service, **context: Any) -> Iterator[Visit]:
    """Yield a page in a window of its own; fail if there were console errors or requests to other hosts."""
    window = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **context})
    window.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    visit = Visit(window.new_page(), service)
    visit.page.on("console", visit.on_console)
    visit.page.on("pageerror", lambda error: visit.complaints.append(f"uncaught: {error}"))
    visit.page.on("request", visit.on_request)
    try:
        yield visit
    finally:
        window.close()
    assert not visit.complaints, visit.complaints
