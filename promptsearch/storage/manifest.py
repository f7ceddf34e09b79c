"""Collections on disk, `indices/<collection>/`: the builder writes them, the library and the service read them.

current                 the name of the current version, replaced atomically
hidden                  ids of hidden items; see promptsearch/storage/hidden.py
versions/<version>/     one build, which never changes; its name is the time of the build, so names sort by age
    manifest.json       model, counts, indices with their measured recall, checksums
    images.faiss …      see CollectionFiles
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from promptsearch.errors import CollectionError, DamagedCollection, UnknownCollection
from promptsearch.system.checksums import Checksums
from promptsearch.system.files import replace_text, sha256_of, to_json

SCHEMA_VERSION = 2

Kind = Literal["images", "prompts"]
KINDS: tuple[Kind, Kind] = ("images", "prompts")


@dataclass(frozen=True)
class CollectionFiles:
    """The names of the files in the folders of a collection and of its versions."""

    current: str = "current"
    hidden: str = "hidden"
    versions: str = "versions"
    manifest: str = "manifest.json"
    items: str = "items.sqlite"
    fields: str = "fields.sqlite"
    words: str = "words.sqlite"
    thumbnails: str = "thumbnails.sqlite"
    raw: str = "raw.sqlite"
    quarantine: str = "quarantine.csv"
    digests: str = "pictures.digest.npy"  # see promptsearch/storage/digests.py
    field_list: str = "fields.json"  # the catalogue of `fields`, if Milvus has their values

    def index(self, kind: Kind) -> str:
        """Return the name of a kind's FAISS index."""
        return f"{kind}.faiss"

    def vectors(self, kind: Kind) -> str:
        """Return the name of a kind's vectors, float16 [rows, embedding_dim]."""
        return f"{kind}.f16.npy"

    def field(self, number: int | str) -> str:
        """Return the name of a field's column."""
        return f"field-{number}.npy"


FILES = CollectionFiles()


@dataclass(frozen=True)
class ModelReference:
    """The model of a collection's vectors; `identity` is that of `promptsearch.encoding.bundle.Bundle`."""

    name: str
    identity: str
    embedding_dim: int


@dataclass(frozen=True)
class IndexInfo:
    """One FAISS index: its factory key, its search parameters and its measured recall."""

    key: str
    vectors: int
    exact: bool
    nprobe: int | None  # inverted lists visited per query; None for an index without lists
    recall_at_10: Mapping[str, float]  # with "images" and "texts" as queries, against an exact scan
    candidates: int | None = None  # least number scored exactly per query; None: as many as are requested
    recall_target: float | None = None  # of the tuning; None in collections of earlier releases

    @property
    def reached(self) -> bool:
        """Return whether the recall of every kind of query reaches the target."""
        return min(self.recall_at_10.values(), default=1.0) >= (self.recall_target or 0.0)


@dataclass(frozen=True)
class MilvusReference:
    """A version in Milvus: the address (a URL, or a path for Milvus Lite) and the names of its two collections."""

    address: str
    images: str
    prompts: str

    def collection(self, kind: Kind) -> str:
        """Return the name of the Milvus collection of a kind."""
        return self.images if kind == "images" else self.prompts


@dataclass(frozen=True)
class Manifest:
    """A parsed `manifest.json`."""

    collection: str
    version: str
    created: str  # ISO 8601, UTC
    model: ModelReference
    source: Mapping[str, str]  # kind, and the named root of file references
    counts: Mapping[str, int]
    images: IndexInfo | None
    prompts: IndexInfo | None
    build: Mapping[str, Any]  # engine, seconds of each stage
    files: Mapping[str, str]  # name -> SHA-256
    metric: str = "cosine"
    milvus: MilvusReference | None = None  # None: vectors and items are in files of the version

    def index(self, kind: Kind) -> IndexInfo | None:
        """Return the index of a kind; None if it has no vectors."""
        return self.images if kind == "images" else self.prompts

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read `folder/manifest.json`. Raises CollectionError if it is missing, damaged or of another schema."""
        path = folder / FILES.manifest
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CollectionError(f"{folder} has no {FILES.manifest}: build the collection again") from None
        except (OSError, ValueError) as error:
            raise CollectionError(
                f"{path} cannot be read ({error}): check its permissions and disk, or build the collection again"
            ) from error
        schema_version = data.pop("schema_version", None) if isinstance(data, dict) else None
        if schema_version != SCHEMA_VERSION:
            raise CollectionError(
                f"{path} has schema version {schema_version}, expected {SCHEMA_VERSION}: build the collection again"
            )
        try:
            for kind in KINDS:
                data[kind] = IndexInfo(**data[kind]) if data[kind] else None
            if data.get("milvus"):
                data["milvus"] = MilvusReference(**data["milvus"])
            return cls(**{**data, "model": ModelReference(**data["model"])})
        except (KeyError, TypeError) as error:
            raise CollectionError(f"{path} is not a valid manifest ({error!r}): build the collection again") from error

    def write(self, folder: Path) -> None:
        """Write `folder/manifest.json` atomically."""
        replace_text(folder / FILES.manifest, to_json({"schema_version": SCHEMA_VERSION, **asdict(self)}))

    def with_checksums(self, folder: Path) -> Manifest:
        """Return the manifest with the SHA-256 of every file in `folder` except the manifest."""
        names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != FILES.manifest)
        return replace(self, files={name: sha256_of(folder / name) for name in names})

    def verify(self, folder: Path, checksums: Checksums | None = None) -> None:
        """Raise CollectionError for the first file that is missing or whose SHA-256 differs.

        `checksums` remembers those of earlier calls; without them, every file is read.
        """
        checksums = checksums or Checksums(None)
        for name, expected in self.files.items():
            if not (folder / name).is_file():
                raise CollectionError(f"{folder / name} is missing: build the collection again")
            try:
                digest = checksums.of(folder / name)
            except OSError as error:
                raise CollectionError(
                    f"{folder / name} cannot be read ({error.strerror}): check its permissions and disk, or build the "
                    "collection again"
                ) from error
            if digest != expected:
                raise DamagedCollection(
                    f"{folder / name} is damaged: its SHA-256 is not the recorded one; build the collection again"
                )
        checksums.save()


def current_version(collection: Path) -> Path:
    """Return the folder of the current version. Raises UnknownCollection and CollectionError."""
    try:
        name = (collection / FILES.current).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise UnknownCollection(
            f"{collection} is not a published collection: it has no file `{FILES.current}`; build it, or check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise CollectionError(
            f"{collection / FILES.current} cannot be read ({error}): check its permissions and disk, or build the "
            "collection again"
        ) from error
    folder = collection / FILES.versions / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise CollectionError(
            f"{collection / FILES.current} names the version {name!r}, which does not exist: restore that version's "
            "folder or build the collection again"
        )
    return folder


def latest(versions: Iterable[str]) -> str | None:
    """Return the newest of these versions, whose names are times; None if there are none."""
    return max(versions, default=None)
