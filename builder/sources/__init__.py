"""What can be built from: one file a source, each yielding items lazily.

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
    """Where one picture's bytes lie. Small and picklable: whatever decodes it may be another process."""

    @property
    def file(self) -> str | None:
        """Its path below the source's root, where it is a file of its own that a service can hand out."""
        ...

    def read(self) -> bytes:
        """Raises PictureError."""
        ...


@dataclass(frozen=True)
class Item:
    """One generation, as its source tells of it."""

    key: str  # unique and stable within the source: the image's id is made from it
    source: str  # the file or link that the picture came from, for people
    prompt: str | None
    picture: Picture | None = None  # None: there is none here
    width: int | None = None  # pixels, as the source says; a picture that is here says it better
    height: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # seed, steps, cfg_scale, sampler, model, created
    extra: Mapping[str, Any] = field(default_factory=dict)
    # The texts that these were read from, by name, to be given back as they stood.
    raw: Mapping[str, str] = field(default_factory=dict)
    # Unit vectors, float32 [embedding_dim], where the source has them: what has one is not encoded again.
    vector: NDArray[np.float32] | None = field(default=None, compare=False)
    prompt_vector: NDArray[np.float32] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Rejected:
    """A row that is no item; goes to the quarantine file."""

    where: str  # file and line, or path
    reason: str


class Source(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def root(self) -> Path:
        """The folder that pictures lie below."""
        ...

    def items(self) -> Iterator[Item | Rejected]: ...

    def count(self) -> int | None:
        """About how many items there are, for telling the time left; None where that takes reading them."""
        ...


KINDS = ("manifest", "open-prompts", "folder", "diffusiondb", "img2dataset", "embeddings")
_WITH_IMAGES = ("manifest", "open-prompts")  # whose pictures may lie in a folder of their own


def open_source(kind: str, path: Path, images: Path | None) -> Source:
    """The source of that kind at `path`; raises SourceError where it cannot be read, or is of another kind."""
    from .layout import kind_of

    if kind not in KINDS:
        raise SourceError(f"{kind!r} is no source; there are {', '.join(KINDS)}")
    if not path.exists():
        raise SourceError(f"there is no {path}")
    if images is not None and kind not in _WITH_IMAGES:
        raise SourceError(f"--images is for {' and '.join(_WITH_IMAGES)}: {kind} knows where its pictures are")
    if images is not None and not images.is_dir():
        raise SourceError(f"--images {images} is no folder")
    looks_like = kind_of(path)
    if kind == "folder" and looks_like in ("diffusiondb", "img2dataset"):
        # It would find the pictures, but not what lies beside them.
        raise SourceError(f"{path} looks like another source: use {looks_like} instead of folder")
    try:
        return _open(kind, path, images)
    except SourceError as error:
        if looks_like in (kind, None):
            raise
        raise SourceError(f"{error}. This looks like another source: use {looks_like} instead of {kind}") from error


def _open(kind: str, path: Path, images: Path | None) -> Source:
    # Imported as they are needed: a manifest needs neither Parquet nor the metadata of image generators.
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
