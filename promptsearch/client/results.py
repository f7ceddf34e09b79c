"""Results of searches, the same from `promptsearch.open` and from the HTTP clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ReadThumbnails = Callable[[Sequence[str]], Mapping[str, bytes]]  # ids of images -> WebP of those with a thumbnail


@dataclass(frozen=True)
class Picture:
    """The picture of an image: its size, and the addresses of its files."""

    width: int | None  # pixels
    height: int | None
    source: str  # the file, archive member or URL that it came from
    file: str | None  # the original: a path, or its URL at the service; None if it is not available
    thumbnail: str | None  # its URL at the service; `thumbnail(id)` reads it everywhere

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: str = "") -> Picture:
        """Return the picture in an answer of the service at the URL `base`."""
        file, thumbnail = (path and base + path for path in (data["file"], data["thumbnail"]))
        return cls(data["width"], data["height"], data["source"], file, thumbnail)


@dataclass(frozen=True)
class Generation:
    """One image and how it was generated.

    `settings` has those of seed, steps, cfg_scale, sampler, model and created that are known.
    """

    id: str
    image: Picture
    settings: Mapping[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: str = "") -> Generation:
        """Return the generation in an answer of the service at the URL `base`."""
        return cls(data["id"], Picture.from_dict(data["image"], base), data["settings"])


@dataclass(frozen=True)
class PromptReference:
    """The prompt of an image."""

    id: str
    text: str

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> PromptReference | None:
        """Return the reference in an answer; None if the image has no prompt."""
        return None if data is None else cls(data["id"], data["text"])


@dataclass(frozen=True)
class ImageResult(Generation):
    """An image that a search found."""

    score: float | None  # cosine; None without a text or picture to compare with
    prompt: PromptReference | None
    vector: tuple[float, ...] | None = None  # with include="vector": of unit length
    duplicates: int | None = None  # with deduplicate: number of near-duplicates left out
    more: int | None = None  # with group_by="prompt": number of other images of its prompt

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: str = "") -> ImageResult:
        """Return the result in an answer of the service at the URL `base`."""
        return cls(
            data["id"],
            Picture.from_dict(data["image"], base),
            data["settings"],
            data["score"],
            PromptReference.from_dict(data["prompt"]),
            _vector(data),
            data.get("duplicates"),
            data.get("more"),
        )


@dataclass(frozen=True)
class PromptResult:
    """A prompt that a search found."""

    id: str
    text: str
    image_count: int
    images: tuple[Generation, ...]  # the first few
    score: float | None  # as of ImageResult, like the following
    vector: tuple[float, ...] | None = None
    duplicates: int | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: str = "") -> PromptResult:
        """Return the result in an answer of the service at the URL `base`."""
        images = _generations(data, base)
        return cls(
            data["id"], data["text"], data["image_count"], images, data["score"], _vector(data), data.get("duplicates")
        )


@dataclass(frozen=True)
class ImageItem(Generation):
    """One image by itself, with the further metadata of its source."""

    prompt: PromptReference | None
    extra: Mapping[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: str = "") -> ImageItem:
        """Return the image in an answer of the service at the URL `base`."""
        picture = Picture.from_dict(data["image"], base)
        return cls(data["id"], picture, data["settings"], PromptReference.from_dict(data["prompt"]), data["extra"])


@dataclass(frozen=True)
class PromptItem:
    """One prompt by itself, with the first of its images."""

    id: str
    text: str
    image_count: int
    images: tuple[Generation, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], base: str = "") -> PromptItem:
        """Return the prompt in an answer of the service at the URL `base`."""
        return cls(data["id"], data["text"], data["image_count"], _generations(data, base))


@dataclass(frozen=True)
class Field:
    """A field that the images of a collection can be filtered and sorted by."""

    name: str
    type: str  # boolean, integer, number, string, time, or prompt (its text)
    count: int  # images that have it
    distinct: int  # different values
    least: Any  # of numbers and times
    greatest: Any
    values: tuple[tuple[Any, int], ...]  # the most frequent, each with the number of its images

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Field:
        """Return the field in an answer of the service."""
        values = tuple((value, count) for value, count in data["values"])
        return cls(data["name"], data["type"], data["count"], data["distinct"], data["least"], data["greatest"], values)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Unit vectors of a model, float32 [n, embedding_dim], in the order of the texts or pictures."""

    vectors: NDArray[np.float32]
    model: str
    identity: str
    notes: tuple[str, ...]


def _generations(data: Mapping[str, Any], base: str) -> tuple[Generation, ...]:
    return tuple(Generation.from_dict(image, base) for image in data["images"])


def _vector(data: Mapping[str, Any]) -> tuple[float, ...] | None:
    vector = data.get("vector")
    return None if vector is None else tuple(vector)
