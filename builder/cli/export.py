"""`export`: a checkpoint to a model bundle."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands

if TYPE_CHECKING:
    from ..export.named import Opened

REFERENCES = {"pytorch": "PyTorch", "numpy": "NumPy"}


def add_commands(commands: Commands) -> None:
    """Add `export`."""
    export = commands.add_parser("export", help="export a CLIP checkpoint to an ONNX model bundle")
    _add_checkpoint(export)
    export.add_argument("--out", type=Path, required=True, metavar="models/NAME", help="the bundle's folder")
    export.add_argument(
        "--precision", choices=("fp32", "int8"), default="fp32", help="int8 adds quantised encoders (default: fp32)"
    )
    export.add_argument(
        "--licence", help="licence of the weights, recorded in model.json (default: that of published weights)"
    )
    export.add_argument(
        "--licence-file", type=Path, action="append", default=[], help="file to keep in the bundle; repeatable"
    )
    export.set_defaults(run=run_export)


def _add_checkpoint(export: argparse.ArgumentParser) -> None:
    checkpoint = export.add_mutually_exclusive_group(required=True)
    checkpoint.add_argument(
        "name",
        nargs="?",
        metavar="CHECKPOINT",
        help="published weights by name (ViT-B/32, ViT-B-32/laion2b_s34b_b79k, ...), hf://ORG/REPO[@REVISION], "
        "or a file: .safetensors, a state dict or a TorchScript archive",
    )
    checkpoint.add_argument("--checkpoint", type=Path, metavar="FILE", help="the same for a file of any name")
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
    """Export the checkpoint; report how closely each precision matches the reference."""
    from ..export.export import export

    opened = _open(arguments)
    bundle = export(
        opened.checkpoint,
        arguments.out,
        precision=arguments.precision,
        licence=arguments.licence or opened.licence,
        licence_files=arguments.licence_file,
        licence_texts=opened.licences,
    )
    yield f"exported {bundle.source.name} to {bundle.folder}: {bundle.architecture}, {bundle.embedding_dim} dimensions"
    for name, precision in bundle.precisions.items():
        measured = ", ".join(f"{key} {value}" for key, value in precision.fidelity.items())
        yield f"  {name} against {REFERENCES[precision.reference]}: {measured}"


def _open(arguments: argparse.Namespace) -> Opened:
    from ..export.named import Opened, open_named
    from ..export.opening import open_file

    described = {name: getattr(arguments, name) for name in ("open_clip", "pretrained", "tokenizer")}
    if arguments.checkpoint is not None:
        return Opened(open_file(arguments.checkpoint, **described))
    return open_named(arguments.name, **described)
