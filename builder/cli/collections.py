"""The commands about published collections: `list`, `show`, `verify`, `hide`, `unhide`, `delete-version`, `gc`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from json import dumps

from ..sizes import format_size
from ..versions.hide import hide, unhide
from ..versions.report import describe_counts, describe_version, list_data, list_versions, version_data
from ..versions.versions import collections, delete_version
from .arguments import Commands, add_indices, add_json, collection_folder


def add_commands(commands: Commands) -> None:
    """Add the commands of this file."""
    listing = commands.add_parser("list", help="list the collections: versions, counts, sizes")
    add_indices(listing)
    add_json(listing)
    listing.set_defaults(run=run_list)
    garbage = commands.add_parser("gc", help="delete cached encodings that no version uses")
    add_indices(garbage)
    garbage.set_defaults(run=run_gc)
    for name, text, run in (
        ("show", "show what a collection holds and how it was built", run_show),
        ("verify", "check a collection's files, counts, ids and vectors", run_verify),
        ("hide", "take items down at once, without a build", run_hide),
        ("unhide", "show hidden items again", run_unhide),
        ("delete-version", "delete an old version", run_delete_version),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("collection", metavar="NAME", help="the collection's name")
        if name in ("hide", "unhide"):
            command.add_argument("ids", nargs="+", metavar="ID", help="id of an image or a prompt")
        if name in ("show", "verify"):
            add_json(command)
        if name == "delete-version":
            command.add_argument("version", metavar="VERSION", help="the version's name in `list`")
        add_indices(command)
        command.set_defaults(run=run)


def run_list(arguments: argparse.Namespace) -> Iterator[str]:
    """List the versions of every collection."""
    if arguments.json:
        yield dumps([list_data(collection) for collection in collections(arguments.indices)])
        return
    for collection in collections(arguments.indices):
        yield from list_versions(collection)


def run_gc(arguments: argparse.Namespace) -> Iterator[str]:
    """Delete what no version uses from the caches."""
    from ..encode.garbage import collect_garbage

    for freed in collect_garbage(arguments.indices):
        yield f"{freed.file}: {format_size(freed.before)} before, {format_size(freed.after)} now"


def run_show(arguments: argparse.Namespace) -> Iterator[str]:
    """Describe the served version."""
    if arguments.json:
        yield dumps(version_data(collection_folder(arguments)))
    else:
        yield from describe_version(collection_folder(arguments))


def run_verify(arguments: argparse.Namespace) -> Iterator[str]:
    """Verify the served version."""
    from ..versions.verify import verify

    manifest = verify(collection_folder(arguments))
    if arguments.json:
        yield dumps(version_data(collection_folder(arguments)))
        return
    yield (
        f"{arguments.collection} version {manifest.version}: all {len(manifest.files)} files are intact, "
        f"{describe_counts(manifest)}"
    )


def run_hide(arguments: argparse.Namespace) -> Iterator[str]:
    """Hide items."""
    new = hide(collection_folder(arguments), arguments.ids)
    yield f"hidden in {arguments.collection}: {len(new) or 'nothing that was not hidden before'}"
    yield from (f"  {item}" for item in new)


def run_unhide(arguments: argparse.Namespace) -> Iterator[str]:
    """Show hidden items again."""
    shown = unhide(collection_folder(arguments), arguments.ids)
    yield f"shown again in {arguments.collection}: {len(shown)}"
    yield from (f"  {item}" for item in shown)


def run_delete_version(arguments: argparse.Namespace) -> Iterator[str]:
    """Delete an old version."""
    freed = delete_version(collection_folder(arguments), arguments.version)
    yield f"deleted version {arguments.version} of {arguments.collection}: {format_size(freed)}"
