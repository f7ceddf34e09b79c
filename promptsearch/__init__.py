"""Semantic search for generated images and their prompts: encoders, on-disk formats, search, clients.

    import promptsearch

    collection = promptsearch.open("indices/emoji")
    collection.search_images("happy dog", limit=5)

`promptsearch.Client` and `promptsearch.AsyncClient` search a service, with the same methods and results. Modules are
imported on first use, and PyTorch never.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from promptsearch.version import __version__

if TYPE_CHECKING:
    from promptsearch.client.client import AsyncClient, Client
    from promptsearch.client.retries import Retries
    from promptsearch.errors import PromptSearchError
    from promptsearch.search.terms import Term
    from promptsearch.searcher import Searcher, open  # noqa: A004  meant as promptsearch.open

_MODULES = {
    "AsyncClient": "promptsearch.client.client",
    "Client": "promptsearch.client.client",
    "PromptSearchError": "promptsearch.errors",
    "Retries": "promptsearch.client.retries",
    "Searcher": "promptsearch.searcher",
    "Term": "promptsearch.search.terms",
    "open": "promptsearch.searcher",
}

__all__ = ["AsyncClient", "Client", "PromptSearchError", "Retries", "Searcher", "Term", "__version__", "open"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
