"""`upload` and `upload-model`: collections and models to an object store."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..sizes import format_size
from .arguments import Commands, add_indices, collection_folder

if TYPE_CHECKING:
    from ..versions.upload import Uploaded


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    upload = commands.add_parser("upload", help="upload a collection to an object store that services read")
    upload.add_argument("collection", metavar="NAME", help="the collection's name")
    _add_store(upload, "s3://bucket/indices")
    add_indices(upload)
    upload.set_defaults(run=run_upload)

    upload_model = commands.add_parser("upload-model", help="upload a model bundle to an object store")
    upload_model.add_argument("model", type=Path, metavar="models/NAME", help="the bundle's folder")
    _add_store(upload_model, "s3://bucket/models")
    upload_model.set_defaults(run=run_upload_model)


def _add_store(command: argparse.ArgumentParser, example: str) -> None:
    command.add_argument("--to", required=True, metavar="URL", help=f"such as {example}")


def run_upload(arguments: argparse.Namespace) -> Iterator[str]:
    """Upload the served version of a collection."""
    from promptsearch.remote.store import Store

    from ..versions.upload import upload_collection

    manifest, uploaded = upload_collection(collection_folder(arguments), Store(arguments.to))
    yield f"{arguments.to} has {arguments.collection} version {manifest.version}: {_describe(uploaded)}"


def run_upload_model(arguments: argparse.Namespace) -> Iterator[str]:
    """Upload a model bundle."""
    from promptsearch.remote.store import Store

    from ..versions.upload import upload_model

    bundle, uploaded = upload_model(arguments.model, Store(arguments.to))
    yield f"{arguments.to} has the model {bundle.name}: {_describe(uploaded)}"


def _describe(uploaded: Uploaded) -> str:
    return f"{uploaded.sent} files sent ({format_size(uploaded.bytes)}), {uploaded.there} were there"
