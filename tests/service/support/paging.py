"""Clients that read all pages of searches over and over, with `promptsearch.Client`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import promptsearch
from promptsearch.errors import PromptSearchError

TEXTS = ("a red fox", "only words", "snow at night")
LIMIT = 3  # results a page


@dataclass
class Paging:
    """The outcome for the clients. A text's ids must have the same order each time that all pages are read."""

    rounds: int = 0
    versions: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    orders: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    mixed: int = 0  # rounds whose pages were not all of one version


@contextmanager
def paging(url: str, clients: int, collection: str | None = None) -> Iterator[Paging]:
    """Let clients read all pages of searches for this block; yield the outcome so far."""
    outcome, stop, lock = Paging(), threading.Event(), threading.Lock()

    def read(number: int) -> None:
        with promptsearch.Client(url, collection=collection) as client:
            while not stop.is_set():
                number += 1
                text = TEXTS[number % len(TEXTS)]
                try:
                    pages = [*client.pages(client.search_images(text, limit=LIMIT))]
                except PromptSearchError as error:
                    outcome.failed.append(repr(error))
                    continue
                versions = {page.version for page in pages}
                with lock:
                    outcome.rounds += 1
                    outcome.versions |= versions
                    outcome.mixed += len(versions) > 1
                    ids = tuple(result.id for page in pages for result in page)
                    outcome.orders.setdefault(text, set()).add(ids)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield outcome
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
