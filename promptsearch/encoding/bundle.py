"""Model bundles, `models/<name>/`: the exporter writes them, the encoders read them.

`model.json` describes everything that determines a vector: the source checkpoint, the preprocessing of pictures and the
treatment of text. Bundles with the same `identity` have interchangeable vectors, whatever their precision. A collection
records the identity of its model and is searched with no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from promptsearch.errors import BundleError
from promptsearch.system.checksums import Checksums
from promptsearch.system.files import replace_text, to_json

SCHEMA_VERSION = 1
DATA = ".data"  # suffix to the name of an ONNX file: the file of its weights, which is memory-mapped


@dataclass(frozen=True)
class BundleFiles:
    """The names of the files in a bundle's folder."""

    model: str = "model.json"
    text: str = "text.onnx"
    image: str = "image.onnx"
    text_int8: str = "text.int8.onnx"
    image_int8: str = "image.int8.onnx"
    text_data: str = f"text.onnx{DATA}"
    text_int8_data: str = f"text.int8.onnx{DATA}"
    tokenizer: str = "tokenizer.json"
    licences: str = "LICENSES"


FILES = BundleFiles()


@dataclass(frozen=True)
class ImageSpec:
    """The preprocessing of pictures, which `promptsearch.encoding.preprocessing` performs."""

    size: int  # pixels, both sides of the encoder's input
    mean: tuple[float, float, float]  # of RGB in 0..1
    std: tuple[float, float, float]
    resize: str = "shorter-side"  # or "squash": both sides, without keeping the aspect ratio
    resample: str = "bicubic"  # or "bilinear"
    crop: str = "centre"  # after "squash": "none"
    background: tuple[int, int, int] = (255, 255, 255)  # RGB, behind transparent pixels


@dataclass(frozen=True)
class TextSpec:
    """The treatment of texts, which `promptsearch.encoding.tokenizer` performs."""

    context_length: int  # tokens, start and end included; longer texts are truncated
    vocabulary_size: int
    start_id: int | None  # None: texts have only an end token
    end_id: int
    padding_id: int
    cleaning: str = "clip"  # or one of open_clip's: "lower", "whitespace", "canonicalize"
    # "longest": pad a batch to its longest text, so that a single text is encoded at its real length; only if the
    # export has verified that padding does not change the vector. "context": always pad to `context_length`.
    padding: str = "longest"
    mask: str = "causal"  # "padding": tokens do not attend to the padding; "none": every token attends to all
    pooling: str = "end-of-text"  # or "mean" (without padding), "first", "last"
    # "clip": CLIP's pattern finds the words that the tokenizer file splits; "file": the file does both.
    splitting: str = field(default="clip", metadata={"added": True})


@dataclass(frozen=True)
class Source:
    """The checkpoint that a bundle was exported from."""

    name: str
    sha256: str
    open_clip: str | None = None  # the architecture's name in open_clip; None: OpenAI's CLIP


@dataclass(frozen=True)
class Precision:
    """A pair of encoder files, and their fidelity to the checkpoint in fp32: cosines and shares of results."""

    text: str
    image: str
    fidelity: Mapping[str, float]
    reference: str = "pytorch"  # what computed the checkpoint's own vectors: "pytorch" or "numpy"


@dataclass(frozen=True)
class Bundle:
    """A parsed `model.json` and its folder."""

    folder: Path
    name: str
    architecture: str
    embedding_dim: int
    source: Source
    logit_scale: float  # CLIP's learned temperature: similarity = exp(logit_scale) * cosine
    image: ImageSpec
    text: TextSpec
    precisions: Mapping[str, Precision]
    files: Mapping[str, str]  # name -> SHA-256
    licence: str
    logit_bias: float | None = None  # SigLIP's: similarity = exp(logit_scale) * cosine + logit_bias

    @cached_property
    def identity(self) -> str:
        """Return the SHA-256 of the checkpoint's hash and the preprocessing, which determine the meaning of vectors."""
        decisive = {"checkpoint": self.source.sha256, "image": _decisive(self.image), "text": _decisive(self.text)}
        if self.source.open_clip is not None:  # the same weights with another activation give other vectors
            decisive["architecture"] = self.source.open_clip
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def path(self, file: str) -> Path:
        """Return the path of a file of the bundle."""
        return self.folder / file

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Read `folder/model.json`. Raises BundleError if it is missing, damaged or of another schema."""
        path = folder / FILES.model
        try:
            bundle = cls.parse(folder, path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BundleError(f"{folder} is not a model bundle: it has no {FILES.model}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path} cannot be read: {error}") from error
        missing = [name for name in bundle.files if not bundle.path(name).is_file()]
        if missing:
            raise BundleError(f"{folder} is incomplete: {', '.join(missing)} missing; export it again")
        return bundle

    @classmethod
    def parse(cls, folder: Path, text: str) -> Bundle:
        """Return the bundle whose `model.json` has this text; `folder` may lack other files. Raises BundleError."""
        path = folder / FILES.model
        try:
            data = json.loads(text)
        except ValueError as error:
            raise BundleError(f"{path} cannot be read: {error}") from error
        schema_version = data.get("schema_version") if isinstance(data, dict) else None
        if schema_version != SCHEMA_VERSION:
            raise BundleError(f"{path} has schema version {schema_version}, expected {SCHEMA_VERSION}: export it again")
        try:
            return cls._parse(folder, data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path} is not a valid model description: {error!r}") from error

    @classmethod
    def _parse(cls, folder: Path, data: Mapping[str, Any]) -> Bundle:
        image = dict(data["image"])
        for key in ("mean", "std", "background"):
            image[key] = tuple(image[key])
        return cls(
            folder=folder,
            name=data["name"],
            architecture=data["architecture"],
            embedding_dim=data["embedding_dim"],
            source=Source(**data["source"]),
            logit_scale=data["logit_scale"],
            image=ImageSpec(**image),
            text=TextSpec(**data["text"]),
            precisions={name: Precision(**value) for name, value in data["precisions"].items()},
            files=data["files"],
            licence=data["licence"],
            logit_bias=data.get("logit_bias"),
        )

    def write(self) -> None:
        """Write `model.json`, the last file of an export: a folder without it is not a bundle."""
        data = asdict(self)
        del data["folder"]
        replace_text(self.path(FILES.model), to_json({"schema_version": SCHEMA_VERSION, **data}))

    def verify(self, checksums: Checksums | None = None) -> None:
        """Raise BundleError for the first file whose SHA-256 differs from the recorded one.

        `checksums` remembers those of earlier calls; without them, every file is read.
        """
        checksums = checksums or Checksums(None)
        for name, expected in self.files.items():
            path = self.path(name)
            try:
                digest = checksums.of(path)
            except OSError as error:
                raise BundleError(f"{path} cannot be read: {error.strerror}; export the model again") from error
            if digest != expected:
                raise BundleError(f"{path} is damaged: its SHA-256 is not the recorded one; export the model again")
        checksums.save()


def _decisive(spec: ImageSpec | TextSpec) -> dict[str, object]:
    """Return all fields except later additions with their default, so that older bundles keep their identity."""
    return {
        field.name: getattr(spec, field.name)
        for field in fields(spec)
        if not (field.metadata.get("added") and getattr(spec, field.name) == field.default)
    }
