"""What is found, the same from `promptsearch.open` and from the HTTP clients.

Pages iterate over their results, are shown as pictures by a notebook, and become tables with `to_pandas`. `next` is the
cursor of the page after it; whoever gave the page gets that with `next_page`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from promptsearch.errors import NotInstalled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from promptsearch.storage.manifest import Kind

DEFAULT_LIMIT = 20  # results on a page
ReadThumbnails = Callable[[Sequence[str]], Mapping[str, bytes]]  # WebP by the id of the image, of those that have one
_ASKED_FOR = ("vector", "duplicates", "more", "explain")  # there only where they were asked for


@dataclass(frozen=True)
class Picture:
    width: int | None  # pixels
    height: int | None
    source: str  # the file, archive member or link that it came from
    file: str | None  # the original: its path, or its address at the service; None where it is not given
    thumbnail: str | None  # its address at the service; `thumbnail(id)` reads it here as there

    @classmethod
    def of(cls, data: Mapping[str, Any], base: str = "") -> Picture:
        """From an answer of the service at `base`."""
        file, thumbnail = (address and base + address for address in (data["file"], data["thumbnail"]))
        return cls(data["width"], data["height"], data["source"], file, thumbnail)


@dataclass(frozen=True)
class Generation:
    """One image, made from a prompt with these settings: those of seed, steps, cfg_scale, sampler, model, created that
    are known."""

    id: str
    image: Picture
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any], base: str = "") -> Generation:
        return cls(data["id"], Picture.of(data["image"], base), data["settings"])


@dataclass(frozen=True)
class PromptReference:
    id: str
    text: str

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> PromptReference | None:
        return None if data is None else cls(data["id"], data["text"])


@dataclass(frozen=True)
class ImageResult(Generation):
    score: float | None  # cosine; None where there was no text or picture to compare with
    prompt: PromptReference | None
    vector: tuple[float, ...] | None = None  # with include="vector": of unit length
    duplicates: int | None = None  # with deduplicate: how many others are folded into this one
    more: int | None = None  # with group_by="prompt": how many others of its prompt there are

    @classmethod
    def of(cls, data: Mapping[str, Any], base: str = "") -> ImageResult:
        return cls(
            data["id"],
            Picture.of(data["image"], base),
            data["settings"],
            data["score"],
            PromptReference.of(data["prompt"]),
            _vector(data),
            data.get("duplicates"),
            data.get("more"),
        )


@dataclass(frozen=True)
class PromptResult:
    id: str
    text: str
    image_count: int
    images: tuple[Generation, ...]  # a few of them
    score: float | None
    vector: tuple[float, ...] | None = None
    duplicates: int | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], base: str = "") -> PromptResult:
        images = tuple(Generation.of(image, base) for image in data["images"])
        return cls(
            data["id"], data["text"], data["image_count"], images, data["score"], _vector(data), data.get("duplicates")
        )


@dataclass(frozen=True)
class ImageItem(Generation):
    """One image alone, with whatever else its source said."""

    prompt: PromptReference | None
    extra: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any], base: str = "") -> ImageItem:
        picture = Picture.of(data["image"], base)
        return cls(data["id"], picture, data["settings"], PromptReference.of(data["prompt"]), data["extra"])


@dataclass(frozen=True)
class PromptItem:
    """One prompt alone, with the first of its images."""

    id: str
    text: str
    image_count: int
    images: tuple[Generation, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any], base: str = "") -> PromptItem:
        images = tuple(Generation.of(image, base) for image in data["images"])
        return cls(data["id"], data["text"], data["image_count"], images)


Result = TypeVar("Result", ImageResult, PromptResult)


@dataclass(frozen=True)
class Page(Sequence[Result], Generic[Result]):
    """One page of results, best first."""

    kind: Kind
    collection: str
    version: str
    took_ms: float
    results: tuple[Result, ...]
    next: str | None  # the cursor of the next page; None at the end
    notes: tuple[str, ...]  # what should be known of this answer, such as a text that was cut
    explain: Mapping[str, float] | None = None  # with explain=True: milliseconds of each stage
    k: int = DEFAULT_LIMIT  # results on each page
    include: Literal["vector"] | None = None
    read_thumbnails: ReadThumbnails = field(default=lambda _ids: {}, repr=False, compare=False)

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
        """In JSON's types, as the service answers."""
        frame = {
            "collection": self.collection,
            "version": self.version,
            "took_ms": self.took_ms,
            "results": [_without_what_was_not_asked_for(asdict(result)) for result in self.results],
            "next": self.next,
            "notes": list(self.notes),
            "explain": self.explain,
        }
        return _without_what_was_not_asked_for(frame)

    def to_pandas(self) -> Any:
        """A pandas.DataFrame: a row a result, a column a setting; raises NotInstalled where there is no pandas."""
        try:
            pandas = import_module("pandas")  # by name: nothing else of the library may come to need it
        except ImportError as error:
            raise NotInstalled(f"a table takes pandas: pip install pandas ({error})") from error
        return pandas.DataFrame([_flat(one) for one in self.to_dict()["results"]])

    def _repr_html_(self) -> str:
        from promptsearch.client.notebook import page_to_html

        return page_to_html(self)


AnyPage = Page[ImageResult] | Page[PromptResult]


@dataclass(frozen=True)
class Field:
    """What the images of a collection can be filtered and sorted by."""

    name: str
    type: str  # boolean, integer, number, string, time, or prompt (its text)
    count: int  # images that have it
    distinct: int  # different values
    least: Any  # of numbers and times
    greatest: Any
    values: tuple[tuple[Any, int], ...]  # the most frequent, each with how many images have it

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Field:
        values = tuple((value, count) for value, count in data["values"])
        return cls(data["name"], data["type"], data["count"], data["distinct"], data["least"], data["greatest"], values)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Unit vectors of a model, float32 [n, embedding_dim], in the order of what was given."""

    vectors: NDArray[np.float32]
    model: str
    identity: str
    notes: tuple[str, ...]


def _vector(data: Mapping[str, Any]) -> tuple[float, ...] | None:
    vector = data.get("vector")
    return None if vector is None else tuple(vector)


def _without_what_was_not_asked_for(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None or name not in _ASKED_FOR}


def _flat(result: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table: what is within an image beside what it is in, and of a prompt's images their ids."""
    row = {name: value for name, value in result.items() if name not in ("image", "images", "settings", "prompt")}
    if "images" in result:
        return {**row, "images": [image["id"] for image in result["images"]]}
    prompt = result["prompt"] or {"id": None, "text": None}
    return {**row, "prompt": prompt["text"], "prompt_id": prompt["id"], **result["image"], **result["settings"]}
