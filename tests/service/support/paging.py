"""Clients that read every page of what is found, over and over, as people write them: with `promptsearch.Client`."""

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
    """What the clients met. A text's ids are to be the same, in the same order, each time that all pages are read."""

    rounds: int = 0
    versions: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    orders: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    mixed: int = 0  # rounds whose pages were not all of one version


@contextmanager
def paging(url: str, clients: int, collection: str | None = None) -> Iterator[Paging]:
    found, stop, lock = Paging(), threading.Event(), threading.Lock()

    def read(number: int) -> None:
        with promptsearch.Client(url, collection=collection) as client:
            while not stop.is_set():
                number += 1
                text = TEXTS[number % len(TEXTS)]
                try:
                    pages = [*client.pages(client.search_images(text, limit=LIMIT))]
                except PromptSearchError as error:
                    found.failed.append(repr(error))
                    continue
                versions = {page.version for page in pages}
                with lock:
                    found.rounds += 1
                    found.versions |= versions
                    found.mixed += len(versions) > 1
                    ids = tuple(one.id for page in pages for one in page)
                    found.orders.setdefault(text, set()).add(ids)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
