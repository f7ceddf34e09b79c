"""The page in a real Chromium: from the last key to results, scrolling through thousands of them, layout shifts.

`make setup-all && python -m bench.page_speed` serves the demo's collection, visits it and writes
`bench/results/page-speed.md`.

- **From the last key to the results.** A query is typed letter by letter. The time runs from the event of its last key
  to the frame after that in which its first results were drawn. The API's own time is `took_ms` of its answer; a
  request ends when the page has read the last byte of its answer.
- **Scrolling.** The wheel turns until all 5,160 pictures of a query have been passed. A long task is one of 50 ms or
  more, in which the page answers nothing. Its processor time comes from the browser's trace, and does not grow with
  other load of the machine.
- **Layout shift.** The browser's sum of unexpected movements over a visit, typing and scrolling.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.support.browser import FLAGS
from bench.support.ours import ours

RESULTS = Path("bench/results/page-speed.md")
QUERIES = (
    "red fox", "green apple", "sad face", "old castle", "flag of france", "rainy day", "person running", "wedding cake",
    "blue heart", "fast train", "sleeping cat", "yellow flower", "musical instrument", "snow and ice", "hot drink",
)  # fmt: skip
PICTURES = "5,160 images"
KEY_MS = 120  # between two keys
TURN = 1500  # pixels of one turn of the wheel
LARGEST_SHIFT = 0.05
LONGEST_TASK = 100  # ms
LONGEST_WAIT = 150  # ms more than the API takes

# Before anything of the page runs.
WATCH = """
  window.seen = { longTasks: [], shift: 0 };
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) seen.longTasks.push(task.duration);
  }).observe({ type: 'longtask', buffered: true });
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) if (!shift.hadRecentInput) seen.shift += shift.value;
  }).observe({ type: 'layout-shift', buffered: true });
"""
# Resolves with the times of a typed query once the frame with its results has been shown.
TIMED = """(q) => new Promise((done) => {
  const results = document.querySelector('#results');
  const own = window.fetch;
  let pressed = 0;
  let answered = null;
  document.querySelector('#q').addEventListener('keydown', (event) => { pressed = event.timeStamp; });
  window.fetch = async (address, how) => {
    const started = performance.now();
    const response = await own(address, how);
    if (new URLSearchParams(String(address).split('?')[1]).get('q') === q) {
      const { took_ms } = await response.clone().json();
      answered = { request: performance.now() - started, took: took_ms };
    }
    return response;
  };
  const watching = new MutationObserver(() => {
    if (!answered || !results.querySelector('.tile')) return;
    watching.disconnect();
    window.fetch = own;
    requestAnimationFrame(() => requestAnimationFrame(() => done({ total: performance.now() - pressed, ...answered })));
  });
  watching.observe(results, { childList: true });
})"""


@dataclass
class Figures:
    """The figures of all passes."""

    waits: list[dict[str, float]] = field(default_factory=list)  # ms: total, request, took
    tasks: list[list[float]] = field(default_factory=list)  # ms of the long tasks of each pass
    busy: list[float] = field(default_factory=list)  # ms of processor that the longest task of each pass took
    shifts: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)  # ms between two, while scrolling


def type_queries(page: Page, url: str, figures: Figures) -> None:
    """Type each query and record how long its results take."""
    page.goto(url)
    page.locator("#examples img").first.wait_for()
    box = page.locator("#q")
    for query in QUERIES:
        box.fill("")
        page.locator("#welcome").wait_for()
        page.evaluate(f"q => {{ window.timing = ({TIMED})(q); }}", query)
        box.press_sequentially(query, delay=KEY_MS)
        figures.waits.append(page.evaluate("window.timing"))


def scroll(browser: Browser, page: Page, url: str, figures: Figures) -> None:
    """Scroll through all results and record long tasks and shifts."""
    page.goto(f"{url}/?q=face")
    page.locator(".tile").first.wait_for()
    page.evaluate("""() => {
      seen.longTasks.length = 0;
      seen.frames = [];
      let last = performance.now();
      const next = (now) => { seen.frames.push(now - last); last = now; requestAnimationFrame(next); };
      requestAnimationFrame(next);
    }""")
    browser.start_tracing(page=page, categories=["toplevel"])
    page.mouse.move(600, 500)
    at_end = """(all) => document.querySelector('#status').textContent.startsWith(all) &&
      scrollY + innerHeight >= document.documentElement.scrollHeight - 2"""
    while not page.evaluate(at_end, PICTURES):
        page.mouse.wheel(0, TURN)
        page.wait_for_timeout(30)
    figures.busy.append(_busiest(json.loads(browser.stop_tracing())["traceEvents"]))
    seen: dict[str, Any] = page.evaluate("seen")
    figures.tasks.append(seen["longTasks"])
    figures.shifts.append(seen["shift"])
    figures.frames += seen["frames"]


def measure(browser: Browser, url: str, passes: int) -> Figures:
    """Return the figures of so many passes."""
    figures = Figures()
    for _ in range(passes):
        page = browser.new_page(viewport={"width": 1280, "height": 850})
        page.add_init_script(WATCH)
        type_queries(page, url, figures)
        figures.shifts.append(page.evaluate("seen.shift"))
        scroll(browser, page, url, figures)
        page.close()
    return figures


def report(figures: Figures, chromium: str, load: float) -> str:
    """Return the page."""
    over = [wait["total"] - wait["took"] for wait in figures.waits]
    beyond = [wait["total"] - wait["request"] for wait in figures.waits]
    total, request, took = ([wait[name] for wait in figures.waits] for name in ("total", "request", "took"))
    longest = [max(tasks, default=0.0) for tasks in figures.tasks]
    counts = [len(tasks) for tasks in figures.tasks]
    lines = [
        "# The page in a browser",
        "",
        "Written by `python -m bench.page_speed`, whose docstring describes the measurements. "
        f"{len(figures.tasks)} visits in {chromium}, headless,",
        f"without a GPU, on {os.cpu_count()} cores that the service and the browser share with all else the machine "
        f"does: its load was {load:.1f} at the start.",
        "",
        "| from the last key to the results on screen | median | 90th percentile | wanted |",
        "|---|---|---|---|",
        _row("all of it", total),
        _row("… more than the API took for itself (`took_ms`)", over, f"at most {LONGEST_WAIT} ms"),
        _row("… more than the request took in the browser", beyond),
        _row("the API for itself", took),
        _row("the request in the browser", request),
        "",
        "50 ms of it are the rest after a key, without which a search would begin with every letter.",
        "",
        "| 5,160 results scrolled to the end | median of the visits | worst | wanted |",
        "|---|---|---|---|",
        f"| longest task | {median(longest):.0f} ms | {max(longest):.0f} ms | at most {LONGEST_TASK} ms |",
        f"| … in processor time, without other load | {median(figures.busy):.0f} ms | {max(figures.busy):.0f} ms | |",
        f"| tasks of 50 ms and more | {median(counts):.0f} | {max(counts)} | |",
        f"| between two frames | {median(figures.frames):.1f} ms | {max(figures.frames):.0f} ms | |",
        "",
        f"Layout shift of a visit: {median(figures.shifts):.4f} in median, {max(figures.shifts):.4f} at worst; "
        f"less than {LARGEST_SHIFT} is wanted.",
    ]
    return "\n".join(lines) + "\n"


def _busiest(events: Sequence[Mapping[str, Any]]) -> float:
    """Return the processor milliseconds of the longest task on the main thread of a page."""
    mains = {
        _thread(event)
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    busy: list[float] = [event["tdur"] / 1000 for event in events if "tdur" in event and _thread(event) in mains]
    return max(busy)


def _thread(event: Mapping[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


def _row(name: str, values: list[float], wanted: str = "") -> str:
    ninth = sorted(values)[len(values) * 9 // 10]
    return f"| {name} | {median(values):.0f} ms | {ninth:.0f} ms | {wanted} |"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=3, help="visits")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    flags = ("--collection", "emoji", "--files", "emoji=builder/demo/emoji", "--cache-bytes", "0")
    with tempfile.TemporaryDirectory() as work, ours(Path(work), flags) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        figures = measure(browser, running.service.url, arguments.passes)
        text = report(figures, f"Chromium {browser.version.partition('.')[0]}", load)
        browser.close()
    arguments.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
