"""Checkpoints by name: published weights, and repositories of the Hugging Face hub, downloaded if they are not here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from promptsearch.errors import ExportError, one_line
from promptsearch.remote.cache import CACHE
from promptsearch.system.files import sha256_of

from .clip.checkpoint import MEAN, STD
from .opening import Kind, kind_of, open_file, open_weights
from .original import Exportable
from .published.download import download
from .published.hub import OFFLINE, HubFile, fetch_first, is_offline, missing
from .published.models import Published, published

WEIGHTS = CACHE / "weights"  # the folder of downloads
CLIPS = Path("~/.cache/clip")  # the folder of clip's own downloads
HUB = "hf://"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
UNKNOWN = "unknown"  # licence

# The files of a repository: its weights, the preferred first, and what describes them.
_OPEN_CLIP = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TRANSFORMERS = ("model.safetensors", "pytorch_model.bin")
_OPEN_CLIP_CONFIG, _TRANSFORMERS_CONFIG = "open_clip_config.json", "config.json"
_CARD = "README.md"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_LICENCE = re.compile(r"^license(_name)?:\s*(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Opened:
    """A checkpoint, the licence of its weights, and the texts of it, by file name."""

    checkpoint: Exportable
    licence: str = UNKNOWN
    licences: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Repository:
    """A repository on the hub, in one revision, and the folder of its copies on this disk."""

    name: str
    revision: str = "main"

    @classmethod
    def parse(cls, address: str) -> Repository:
        """Return the repository of `hf://ORG/REPO[@REVISION]`. Raises ExportError."""
        name, _, revision = address.removeprefix(HUB).partition("@")
        if not _REPOSITORY.fullmatch(name) or ".." in name:
            raise ExportError(f"expected {HUB}ORG/REPO or {HUB}ORG/REPO@REVISION, got {address}")
        return cls(name, revision or "main")

    def fetch(self, *names: str) -> Path:
        """Return a copy of the first of these files that the repository has. Raises ExportError."""
        place = re.sub(r"[^\w.@-]", "-", f"{self.name.replace('/', '--')}@{self.revision}")
        folder = WEIGHTS.expanduser() / place
        return fetch_first([HubFile(self.name, self.revision, name, folder) for name in names])

    def licence(self) -> tuple[str | None, dict[str, str]]:
        """Return the licence that the model card names, if any, and the card as text."""
        try:
            card = self.fetch(_CARD).read_text(encoding="utf-8", errors="replace")
        except ExportError:
            return None, {}
        _, _, rest = card.partition("---\n")
        named = {bool(match[1]): match[2] for match in _LICENCE.finditer(rest.partition("\n---")[0])}
        return named.get(True) or named.get(False), {"model-card.md": card}


def open_named(
    name: str, *, open_clip: str | None = None, pretrained: str | None = None, tokenizer: Path | None = None
) -> Opened:
    """Open a file, `hf://ORG/REPO[@REVISION]`, or published weights by name; other arguments as of `open_file`.

    Raises ExportError, which says where to put what cannot be downloaded.
    """
    if name.startswith(HUB):
        repository = Repository.parse(name)
        if open_clip is None:
            checkpoint = _described(repository, name)
        else:
            path = repository.fetch(*_OPEN_CLIP, *_TRANSFORMERS)
            checkpoint = open_file(path, name=name, open_clip=open_clip, pretrained=pretrained, tokenizer=tokenizer)
        licence, licences = repository.licence()
        return Opened(checkpoint, licence or UNKNOWN, licences)
    if Path(name).is_file() or name.endswith(SUFFIXES):
        return Opened(open_file(Path(name), open_clip=open_clip, pretrained=pretrained, tokenizer=tokenizer))
    for flag, value in (("open-clip", open_clip), ("pretrained", pretrained), ("tokenizer", tokenizer)):
        if value is not None:
            raise ExportError(f"--{flag} describes a file: {name} is known by its name")
    return _of_published(published(name))


def _of_published(row: Published) -> Opened:
    kind = Kind() if row.open_clip is None else kind_of(row.open_clip, row.tag)
    if row.repository is None:
        return Opened(open_weights(_fetch_url(row), row.name, kind), row.licence)
    repository = Repository(row.repository)
    checkpoint = open_weights(repository.fetch(*_OPEN_CLIP), row.name, kind)
    licence, licences = repository.licence()
    return Opened(checkpoint, licence or row.licence, licences)


def _fetch_url(row: Published) -> Path:
    assert row.url is not None
    assert row.sha256 is not None
    file = row.url.rpartition("/")[2]
    path = WEIGHTS.expanduser() / file
    for copy in (path, CLIPS.expanduser() / file):
        if copy.is_file() and sha256_of(copy).startswith(row.sha256):
            return copy
    if is_offline():
        raise ExportError(missing(row.url, path, OFFLINE))
    try:
        download(row.url, path, row.sha256)
    except httpx.HTTPError as error:
        raise ExportError(missing(row.url, path, one_line(error))) from None
    return path


def _described(repository: Repository, name: str) -> Exportable:
    """Open the weights of a repository that describes them as open_clip or transformers do."""
    config = repository.fetch(_OPEN_CLIP_CONFIG, _TRANSFORMERS_CONFIG)
    try:
        content = json.loads(config.read_bytes())
        is_open_clip = config.name == _OPEN_CLIP_CONFIG
        kind = _kind_of_open_clip(content) if is_open_clip else _kind_of_transformers(content)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ExportError(f"{name}: its {config.name} cannot be read: {error!r}") from None
    if kind is None:
        raise ExportError(
            f"{name} is not a vision transformer in OpenAI's layout, by its {config.name}: if open_clip has its "
            "architecture, name that with --open-clip"
        )
    return open_weights(repository.fetch(*(_OPEN_CLIP if is_open_clip else _TRANSFORMERS)), name, kind)


def _kind_of_open_clip(config: dict[str, Any]) -> Kind | None:
    model, pictures = config["model_cfg"], config.get("preprocess_cfg", {})
    is_timm, is_hf = "timm_model_name" in model["vision_cfg"], "hf_model_name" in model["text_cfg"]
    prepared = (pictures.get("interpolation", "bicubic"), pictures.get("resize_mode", "shortest"))
    if is_timm or is_hf or model.get("custom_text") or prepared != ("bicubic", "shortest"):
        return None
    mean, std = _three(pictures.get("mean", MEAN)), _three(pictures.get("std", STD))
    return Kind(is_openai=False, quick_gelu=bool(model.get("quick_gelu")), mean=mean, std=std)


def _kind_of_transformers(config: dict[str, Any]) -> Kind | None:
    if config.get("model_type") != "clip":
        return None
    # transformers leaves out what is its default, which is OpenAI's.
    activations = {config.get(f"{tower}_config", {}).get("hidden_act", "quick_gelu") for tower in ("text", "vision")}
    if len(activations) > 1 or not activations <= {"gelu", "quick_gelu"}:
        return None
    quick_gelu = activations == {"quick_gelu"}
    return Kind(is_openai=quick_gelu, quick_gelu=quick_gelu)


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
