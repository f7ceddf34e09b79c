"""The sources that a collection is built from: one module each, all yielding their items lazily.

To add one, write a class that satisfies `Source`, name it in KINDS and `_open`, and say in `layout` what it looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import SourceError


class Picture(Protocol):
    """The place of one picture's bytes. Small and picklable, because another process may decode it."""

    @property
    def file(self) -> str | None:
        """Return its path below the source's root; None if it is not a file of its own that a service can serve."""
        ...

    def read(self) -> bytes:
        """Return the encoded bytes. Raises PictureError if they cannot be read."""
        ...


@dataclass(frozen=True)
class Item:
    """One generation as its source describes it: a picture, a prompt, or both."""

    key: str  # unique and stable within the source: the image's id is made from it
    source: str  # the file or link that the picture came from, for people
    prompt: str | None
    picture: Picture | None = None  # None: the source has no picture for it
    width: int | None = None  # pixels, as the source states them; those of a decoded picture replace them
    height: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # seed, steps, cfg_scale, sampler, model, created
    extra: Mapping[str, Any] = field(default_factory=dict)
    # The texts that these were read from, by name, stored verbatim.
    raw: Mapping[str, str] = field(default_factory=dict)
    # Unit vectors, float32 [embedding_dim], if the source has them; the builder encodes only what has none.
    vector: NDArray[np.float32] | None = field(default=None, compare=False)
    prompt_vector: NDArray[np.float32] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Rejected:
    """A row that cannot become an item; goes to the quarantine file."""

    where: str  # file and line, or path
    reason: str


class Source(Protocol):
    """A collection of items on disk that can be read more than once."""

    @property
    def kind(self) -> str:
        """Return the name of the kind, one of KINDS."""
        ...

    @property
    def root(self) -> Path:
        """Return the folder that contains the pictures, at any depth."""
        ...

    def items(self) -> Iterator[Item | Rejected]:
        """Yield every item, and a rejection for each row that cannot be read, in a stable order."""
        ...

    def count(self) -> int | None:
        """Return about how many items there are, to estimate the time left; None if only reading them would tell."""
        ...


KINDS = ("manifest", "open-prompts", "folder", "diffusiondb", "img2dataset", "embeddings")
_WITH_IMAGES = ("manifest", "open-prompts")  # whose pictures may be in a separate folder


def open_source(kind: str, path: Path, images: Path | None) -> Source:
    """Open the source of that kind at `path`, with its pictures in `images` if they are in a separate folder.

    Raises SourceError if the path cannot be read, or looks like a source of another kind.
    """
    from .layout import kind_of

    if kind not in KINDS:
        raise SourceError(f"expected a source of {', '.join(KINDS)}, got {kind!r}")
    if not path.exists():
        raise SourceError(f"{path} does not exist: expected the source's file or folder")
    if images is not None and kind not in _WITH_IMAGES:
        raise SourceError(f"--images is for {' and '.join(_WITH_IMAGES)}: {kind} knows where its pictures are")
    if images is not None and not images.is_dir():
        raise SourceError(f"--images {images} is not a folder")
    looks_like = kind_of(path)
    if kind == "folder" and looks_like in ("diffusiondb", "img2dataset"):
        # `folder` would find the pictures, but not their metadata.
        raise SourceError(f"{path} looks like another source: use {looks_like} instead of folder")
    try:
        return _open(kind, path, images)
    except SourceError as error:
        if looks_like in (kind, None):
            raise
        raise SourceError(f"{error}. This looks like another source: use {looks_like} instead of {kind}") from error


def _open(kind: str, path: Path, images: Path | None) -> Source:
    # Imported on demand: a manifest needs neither Parquet nor the metadata of image generators.
    match kind:
        case "manifest":
            from .manifest import ManifestSource

            return ManifestSource(path, images)
        case "open-prompts":
            from .open_prompts import OpenPromptsSource

            return OpenPromptsSource(path, images)
        case "folder":
            from .folder import FolderSource

            return FolderSource(path)
        case "diffusiondb":
            from .diffusiondb import DiffusionDBSource

            return DiffusionDBSource(path)
        case "img2dataset":
            from .img2dataset import Img2DatasetSource

            return Img2DatasetSource(path)
        case _:
            from .embeddings import EmbeddingsSource

            return EmbeddingsSource(path)
