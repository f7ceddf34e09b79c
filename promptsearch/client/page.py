"""Pages of results: sequences that notebooks show as pictures and `to_pandas` turns into tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from promptsearch.client.notebook import results_to_html
from promptsearch.client.results import ImageResult, PromptResult, ReadThumbnails
from promptsearch.errors import NotInstalled
from promptsearch.search.parameters import DEFAULT_LIMIT

if TYPE_CHECKING:
    from promptsearch.storage.manifest import Kind

_OPTIONAL = ("vector", "duplicates", "more", "explain")  # keys that an answer has only if they were requested

Result = TypeVar("Result", ImageResult, PromptResult)


@dataclass(frozen=True)
class Page(Sequence[Result], Generic[Result]):
    """One page of results, best first. `next_page` of what returned it returns the page after it."""

    kind: Kind
    collection: str
    version: str
    took_ms: float
    results: tuple[Result, ...]
    next: str | None  # cursor of the next page; None at the end
    notes: tuple[str, ...]  # warnings about this answer, such as a text that was truncated
    explain: Mapping[str, float] | None = None  # with explain=True: milliseconds of each stage
    limit: int = DEFAULT_LIMIT  # results on each page
    include: Literal["vector"] | None = None
    read_thumbnails: ReadThumbnails = field(default=lambda _ids: {}, repr=False, compare=False)

    @property
    def k(self) -> int:
        """Return `limit`, which replaces this name."""
        warnings.warn("Page.k is now called Page.limit", DeprecationWarning, stacklevel=2)
        return self.limit

    @overload
    def __getitem__(self, place: int) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Result]: ...
    def __getitem__(self, place: int | slice) -> Result | Sequence[Result]:
        return self.results[place]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def to_dict(self) -> dict[str, Any]:
        """Return the page in JSON's types, with the keys of the service's answer."""
        answer = {
            "collection": self.collection,
            "version": self.version,
            "took_ms": self.took_ms,
            "results": [_without_absent(asdict(result)) for result in self.results],
            "next": self.next,
            "notes": list(self.notes),
            "explain": self.explain,
        }
        return _without_absent(answer)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row a result and one column a setting. Raises NotInstalled."""
        try:
            pandas = import_module("pandas")  # by name: the rest of the library must not depend on it
        except ImportError as error:
            raise NotInstalled(f"to_pandas needs pandas: pip install pandas ({error})") from error
        return pandas.DataFrame([_row(result) for result in self.to_dict()["results"]])

    def _repr_html_(self) -> str:
        return results_to_html(self.results, self.notes, self.read_thumbnails)


AnyPage = Page[ImageResult] | Page[PromptResult]


def _without_absent(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None or name not in _OPTIONAL}


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as a flat row: the parts of its image and settings as columns, a prompt's images as ids."""
    row = {name: value for name, value in result.items() if name not in ("image", "images", "settings", "prompt")}
    if "images" in result:
        return {**row, "images": [image["id"] for image in result["images"]]}
    prompt = result["prompt"] or {"id": None, "text": None}
    return {**row, "prompt": prompt["text"], "prompt_id": prompt["id"], **result["image"], **result["settings"]}
