"""Model bundles: `models/<name>/`, what the exporter writes and the encoders read.

`model.json` describes everything that decides a vector, as data: the preprocessing of pictures, the treatment of
text, the source checkpoint. Two bundles with the same `identity` give interchangeable vectors, whatever their
precision; a collection names the identity it was built with and is served with no other.
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
from promptsearch.system.files import replace_text, sha256_of, to_json

SCHEMA_VERSION = 1
DATA = ".data"  # behind the name of an ONNX file: that of the file beside it with the weights which are mapped


@dataclass(frozen=True)
class BundleFiles:
    """The names in a bundle's folder."""

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
    """How a picture becomes the image encoder's input; carried out by `promptsearch.encoding.preprocessing`."""

    size: int  # pixels, both sides of the encoder's input
    mean: tuple[float, float, float]  # of RGB in 0..1
    std: tuple[float, float, float]
    resize: str = "shorter-side"  # or "squash": both sides, whatever the picture's shape
    resample: str = "bicubic"  # or "bilinear"
    crop: str = "centre"  # after "squash": "none"
    background: tuple[int, int, int] = (255, 255, 255)  # under transparency


@dataclass(frozen=True)
class TextSpec:
    """How a text becomes the text encoder's input; carried out by `promptsearch.encoding.tokenizer`."""

    context_length: int  # tokens, start and end included; longer texts are cut
    vocabulary_size: int
    start_id: int | None  # None: texts have an end token alone
    end_id: int
    padding_id: int
    cleaning: str = "clip"  # or one of open_clip's: "lower", "whitespace", "canonicalize"
    # "longest": a batch is padded to its longest text, so a lone text is encoded at its real length. Only where
    # export has proved that padding does not reach the vector. "context": to `context_length`, always.
    padding: str = "longest"
    mask: str = "causal"  # "padding": tokens do not attend to the padding; "none": every token attends to all
    pooling: str = "end-of-text"  # or "mean" (of what is no padding), "first", "last"
    # "clip": CLIP's pattern finds words, and the tokenizer file divides each; "file": the file does both.
    splitting: str = field(default="clip", metadata={"added": True})


@dataclass(frozen=True)
class Source:
    """The checkpoint that a bundle was exported from."""

    name: str
    sha256: str
    open_clip: str | None = None  # the architecture's name in open_clip; None: OpenAI's CLIP, which weights tell alone


@dataclass(frozen=True)
class Precision:
    """One pair of encoders and how faithful it is to the checkpoint in PyTorch fp32: cosines, and shares of results."""

    text: str
    image: str
    fidelity: Mapping[str, float]


@dataclass(frozen=True)
class Bundle:
    """A parsed `model.json` and the folder it lies in."""

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

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the source checkpoint's hash and all preprocessing: what decides a vector's meaning."""
        decisive = {"checkpoint": self.source.sha256, "image": _decisive(self.image), "text": _decisive(self.text)}
        if self.source.open_clip is not None:  # the same weights mean another thing with another activation
            decisive["architecture"] = self.source.open_clip
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def path(self, file: str) -> Path:
        return self.folder / file

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Read `folder/model.json`; raises BundleError where it is missing, damaged or of another schema."""
        path = folder / FILES.model
        try:
            bundle = cls.parse(folder, path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BundleError(f"{folder} is no model bundle: it has no {FILES.model}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path} cannot be read: {error}") from error
        missing = [name for name in bundle.files if not bundle.path(name).is_file()]
        if missing:
            raise BundleError(f"{folder} is incomplete: {', '.join(missing)} missing; export it again")
        return bundle

    @classmethod
    def parse(cls, folder: Path, text: str) -> Bundle:
        """The bundle in `folder` whose `model.json` has this text, whatever else is there; raises BundleError."""
        path = folder / FILES.model
        try:
            data = json.loads(text)
        except ValueError as error:
            raise BundleError(f"{path} cannot be read: {error}") from error
        found = data.get("schema_version") if isinstance(data, dict) else None
        if found != SCHEMA_VERSION:
            raise BundleError(
                f"{path} has schema version {found}, this program reads {SCHEMA_VERSION}: export it again"
            )
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
        )

    def write(self) -> None:
        """Write `model.json`, the last file of an export: a folder without it is no bundle."""
        data = asdict(self)
        del data["folder"]
        replace_text(self.path(FILES.model), to_json({"schema_version": SCHEMA_VERSION, **data}))

    def verify(self) -> None:
        """Compare every file's SHA-256 with the one recorded; raises BundleError that names the first that differs."""
        for name, expected in self.files.items():
            if sha256_of(self.path(name)) != expected:
                raise BundleError(f"{self.path(name)} is damaged: its SHA-256 is not the recorded one; export it again")


def _decisive(spec: ImageSpec | TextSpec) -> dict[str, object]:
    """All fields but those added later that are at their default: bundles from before them keep their identity."""
    return {
        one.name: getattr(spec, one.name)
        for one in fields(spec)
        if not (one.metadata.get("added") and getattr(spec, one.name) == one.default)
    }
