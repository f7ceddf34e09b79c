"""Collections on disk: `indices/<collection>/`, what the builder writes and the service reads.

current                 the name of the version that is served, replaced atomically
hidden                  ids that are taken down; see promptsearch/storage/hidden.py
versions/<version>/     one build; nothing in it ever changes
    manifest.json       what it is: model, counts, indices with their measured recall, checksums
    images.faiss …      see CollectionFiles
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from promptsearch.errors import CollectionError, UnknownCollection
from promptsearch.system.files import replace_text, sha256_of, to_json

SCHEMA_VERSION = 2

Kind = Literal["images", "prompts"]
KINDS: tuple[Kind, Kind] = ("images", "prompts")


@dataclass(frozen=True)
class CollectionFiles:
    """The names in a collection's folder and in each version's."""

    current: str = "current"
    hidden: str = "hidden"
    versions: str = "versions"
    manifest: str = "manifest.json"
    items: str = "items.sqlite"
    fields: str = "fields.sqlite"
    words: str = "words.sqlite"
    thumbnails: str = "thumbnails.sqlite"
    quarantine: str = "quarantine.csv"
    digests: str = "pictures.digest.npy"  # see promptsearch/storage/digests.py
    field_list: str = "fields.json"  # what `fields` says of them, where Milvus holds their values

    def index(self, kind: Kind) -> str:
        return f"{kind}.faiss"

    def vectors(self, kind: Kind) -> str:
        return f"{kind}.f16.npy"

    def field(self, number: int | str) -> str:
        return f"field-{number}.npy"


FILES = CollectionFiles()


@dataclass(frozen=True)
class ModelReference:
    """The model whose vectors a collection holds; `identity` as in `promptsearch.encoding.bundle.Bundle`."""

    name: str
    identity: str
    embedding_dim: int


@dataclass(frozen=True)
class IndexInfo:
    """One FAISS index: its factory key, how it is searched, and what that was measured to find."""

    key: str
    vectors: int
    exact: bool
    nprobe: int | None  # inverted lists visited per query; None where there are none
    recall_at_10: Mapping[str, float]  # of "images" and "texts" as queries, against an exact scan
    candidates: int | None = None  # scored exactly per query, at the least; None: no more than are asked for
    recall_target: float | None = None  # what the search was tuned to; None in collections of before

    @property
    def reached(self) -> bool:
        """Whether every kind of query finds as much as was aimed for."""
        return min(self.recall_at_10.values(), default=1.0) >= (self.recall_target or 0.0)


@dataclass(frozen=True)
class MilvusReference:
    """Where Milvus holds a version: its address (a URL, or a path of Milvus Lite's) and the two collections there."""

    address: str
    images: str
    prompts: str

    def collection(self, kind: Kind) -> str:
        return self.images if kind == "images" else self.prompts


@dataclass(frozen=True)
class Manifest:
    """A parsed `manifest.json`."""

    collection: str
    version: str
    created: str  # ISO 8601, UTC
    model: ModelReference
    source: Mapping[str, str]  # kind, and the named root that file references are relative to
    counts: Mapping[str, int]
    images: IndexInfo | None
    prompts: IndexInfo | None
    build: Mapping[str, Any]  # how it was built: engine, seconds a stage
    files: Mapping[str, str]  # name -> SHA-256
    metric: str = "cosine"
    milvus: MilvusReference | None = None  # None: vectors and items are in this version's own files

    def index(self, kind: Kind) -> IndexInfo | None:
        return self.images if kind == "images" else self.prompts

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises CollectionError where `folder/manifest.json` is missing, damaged or of another schema."""
        path = folder / FILES.manifest
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CollectionError(f"{folder} has no {FILES.manifest}: build the collection again") from None
        except (OSError, ValueError) as error:
            raise CollectionError(f"{path} cannot be read: {error}") from error
        found = data.pop("schema_version", None) if isinstance(data, dict) else None
        if found != SCHEMA_VERSION:
            raise CollectionError(
                f"{path} has schema version {found}, this program reads {SCHEMA_VERSION}: build the collection again"
            )
        try:
            for kind in KINDS:
                data[kind] = IndexInfo(**data[kind]) if data[kind] else None
            if data.get("milvus"):
                data["milvus"] = MilvusReference(**data["milvus"])
            return cls(**{**data, "model": ModelReference(**data["model"])})
        except (KeyError, TypeError) as error:
            raise CollectionError(f"{path} is not a valid manifest: {error!r}") from error

    def write(self, folder: Path) -> None:
        replace_text(folder / FILES.manifest, to_json({"schema_version": SCHEMA_VERSION, **asdict(self)}))

    def with_checksums(self, folder: Path) -> Manifest:
        """The same with the SHA-256 of every file in `folder` but the manifest itself."""
        names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != FILES.manifest)
        return replace(self, files={name: sha256_of(folder / name) for name in names})

    def verify(self, folder: Path) -> None:
        """Raises CollectionError that names the first file that is missing or whose SHA-256 differs."""
        for name, expected in self.files.items():
            if not (folder / name).is_file():
                raise CollectionError(f"{folder / name} is missing: build the collection again")
            if sha256_of(folder / name) != expected:
                raise CollectionError(f"{folder / name} is damaged: its SHA-256 is not the recorded one")


def current_version(collection: Path) -> Path:
    """The folder of the version that `collection/current` names."""
    try:
        name = (collection / FILES.current).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise UnknownCollection(f"{collection} is no published collection: it has no file `{FILES.current}`") from None
    except (OSError, ValueError) as error:
        raise CollectionError(f"{collection / FILES.current} cannot be read: {error}") from error
    folder = collection / FILES.versions / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise CollectionError(f"{collection / FILES.current} names the version {name!r}, which is not there")
    return folder
