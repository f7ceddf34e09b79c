"""The pictures of the page in `docs/screenshots/`, taken in a real Chromium: `python -m bench.page_screenshots`."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from bench.support.browser import FLAGS
from bench.support.ours import ours

FOLDER = Path("docs/screenshots")
QUALITY = 82  # of WebP
PHONE = 600  # pixels: narrower windows are those of phones, without scrollbars
SETTLED_MS = 800  # for pictures to load and movements to end


def _unchanged(_: Page) -> None:
    pass


def _filtered(page: Page) -> None:
    page.get_by_role("button", name="Filters").click()


def _opened(page: Page) -> None:
    page.locator(".tile a").first.click()
    page.locator("#viewer-facts dl > div").nth(5).wait_for()


@dataclass(frozen=True)
class Shot:
    """A screenshot: the address, the window and what is done first."""

    name: str
    address: str
    width: int = 1280
    height: int = 800
    scheme: Literal["light", "dark"] = "light"
    scale: float = 1.0
    prepare: Callable[[Page], None] = _unchanged


SHOTS = (
    Shot(
        "desktop",
        "/?q=bird&filter=%7B%22style%22%3A%5B%22noto%22%2C%22fluent-emoji%22%5D%7D",
        prepare=_filtered,
    ),
    Shot("dark", "/?q=castle&group_by=prompt", scheme="dark"),
    Shot("detail", "/?q=parrot", prepare=_opened),
    Shot("prompts", "/?q=rainy+day&kind=prompts"),
    Shot("welcome", "/"),
    Shot("phone", "/?q=fruit", width=390, height=800, scale=1.5),
    Shot("phone-dark", "/?q=weather&kind=prompts", width=390, height=800, scheme="dark", scale=1.5),
)


def take(browser: Browser, url: str, shot: Shot) -> bytes:
    """Return the window as WebP."""
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,
        device_scale_factor=shot.scale,
        is_mobile=shot.width < PHONE,
    )
    page.goto(url + shot.address)
    page.locator(".tile img, .prompt img, #examples img").first.wait_for()
    shot.prepare(page)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(SETTLED_MS)
    out = io.BytesIO()
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(out, "WEBP", quality=QUALITY, method=6)
    page.close()
    return out.getvalue()


def main() -> None:
    """Take all screenshots of the demo."""
    flags = ("--collection", "emoji", "--files", "emoji=builder/demo/emoji")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work, ours(Path(work), flags) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for shot in SHOTS:
            path = FOLDER / f"{shot.name}.webp"
            path.write_bytes(take(browser, running.service.url, shot))
            print(path, path.stat().st_size, "bytes")
        browser.close()


if __name__ == "__main__":
    main()
